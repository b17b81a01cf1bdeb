using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Nibbles and a half scale; weight = d (q - 8).</summary>
internal readonly struct FormatQ4_0 : IFormat<QuantUnit>
{
    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        long block = ((long)row * w.Units) + unit;
        QuantUnit weights = QuantUnit.FromNibbles(w.Quants[block]);
        weights.Low = weights.High = Intrinsics.HalfToFloat(w.Scales[block]);
        weights.Min = -8f * weights.Low;
        return weights;
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);
}

/// <summary>Signed bytes and a half scale.</summary>
internal readonly struct FormatQ8_0 : IFormat<QuantUnit>
{
    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        long block = ((long)row * w.Units) + unit;
        Int4 a = w.Quants[block * 2], b = w.Quants[(block * 2) + 1];
        float scale = Intrinsics.HalfToFloat(w.Scales[block]);
        return new QuantUnit { Q0 = a.X, Q1 = a.Y, Q2 = a.Z, Q3 = a.W, Q4 = b.X, Q5 = b.Y, Q6 = b.Z, Q7 = b.W, Low = scale, High = scale, Min = 0 };
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);
}

/// <summary>Nibbles; for 256 elements d, dmin and eight pairs of (scale, minimum): weight = d scale q - dmin minimum.</summary>
internal readonly struct FormatQ4_K : IFormat<QuantUnit>
{
    /// <summary>Scales of a super-block.</summary>
    public const int SuperScales = 10;

    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        QuantUnit weights = QuantUnit.FromNibbles(w.Quants[((long)row * w.Units) + unit]);
        return Scaled(weights, w, row, unit);
    }

    public static QuantUnit Scaled(QuantUnit weights, MatrixView w, int row, int unit)
    {
        long super = (((long)row * (w.Units / 8)) + (unit / 8)) * SuperScales;
        int pair = w.Scales[super + 2 + (unit % 8)];
        weights.Low = weights.High = Intrinsics.HalfToFloat(w.Scales[super]) * (pair & 255);
        weights.Min = -Intrinsics.HalfToFloat(w.Scales[super + 1]) * (pair >> 8);
        return weights;
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);
}

/// <summary>As <see cref="FormatQ4_K"/>, with a fifth bit of each element in a plane of its own.</summary>
internal readonly struct FormatQ5_K : IFormat<QuantUnit>
{
    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        long block = ((long)row * w.Units) + unit;
        QuantUnit weights = QuantUnit.FromNibbles(w.Quants[block]);
        int high = w.High[block];
        weights.Q0 |= Bits(high);
        weights.Q1 |= Bits(high >> 4);
        weights.Q2 |= Bits(high >> 8);
        weights.Q3 |= Bits(high >> 12);
        weights.Q4 |= Bits(high >> 16);
        weights.Q5 |= Bits(high >> 20);
        weights.Q6 |= Bits(high >> 24);
        weights.Q7 |= Bits(high >> 28);
        return FormatQ4_K.Scaled(weights, w, row, unit);
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);

    /// <summary>The lower four bits as the fifth bits of four bytes.</summary>
    private static int Bits(int bits) => (((bits & 15) * 0x00204081) & 0x01010101) << 4;
}

/// <summary>Nibbles, two more bits in a plane of their own; for 256 elements d and sixteen signed scales: weight = d scale (q - 32).</summary>
internal readonly struct FormatQ6_K : IFormat<QuantUnit>
{
    /// <summary>Scales of a super-block.</summary>
    public const int SuperScales = 9;

    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        long block = ((long)row * w.Units) + unit;
        QuantUnit weights = QuantUnit.FromNibbles(w.Quants[block]);
        int low = w.High[block * 2], high = w.High[(block * 2) + 1];
        weights.Q0 = Signed(weights.Q0, low);
        weights.Q1 = Signed(weights.Q1, low >> 2);
        weights.Q2 = Signed(weights.Q2, low >> 4);
        weights.Q3 = Signed(weights.Q3, low >> 6);
        weights.Q4 = Signed(weights.Q4, high);
        weights.Q5 = Signed(weights.Q5, high >> 2);
        weights.Q6 = Signed(weights.Q6, high >> 4);
        weights.Q7 = Signed(weights.Q7, high >> 6);

        long super = (((long)row * (w.Units / 8)) + (unit / 8)) * SuperScales;
        float d = Intrinsics.HalfToFloat(w.Scales[super]);
        int pair = w.Scales[super + 1 + (unit % 8)];
        weights.Low = d * (sbyte)pair;
        weights.High = d * (sbyte)(pair >> 8);
        weights.Min = 0;
        return weights;
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);

    /// <summary>Each byte with its upper bits, less 32: a set sign bit keeps borrows within bytes.</summary>
    private static int Signed(int nibbles, int bits) =>
        (int)(((uint)(nibbles | ((bits & 0x03030303) << 4)) | 0x80808080u) - 0x20202020u) ^ unchecked((int)0x80808080);
}

/// <summary>Nibbles through a table; for 256 elements d and eight signed scales.</summary>
internal readonly struct FormatIQ4_XS : IFormat<QuantUnit>
{
    /// <summary>Scales of a super-block.</summary>
    public const int SuperScales = 5;

    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        // The table: -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113.
        QuantUnit weights = QuantUnit.FromTable(w.Quants[((long)row * w.Units) + unit], unchecked((int)0xBFAD9881), unchecked((int)0xF6EADDCF), 0x26190D01, 0x71594535);
        long super = (((long)row * (w.Units / 8)) + (unit / 8)) * SuperScales;
        int pair = w.Scales[super + 1 + (unit % 8 / 2)];
        weights.Low = weights.High = Intrinsics.HalfToFloat(w.Scales[super]) * (sbyte)(pair >> (unit % 2 * 8));
        weights.Min = 0;
        return weights;
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);
}

/// <summary>Four-bit floats through a table of their doubles; the scale of 32 elements is the upper half of a float.</summary>
internal readonly struct FormatMXFP4 : IFormat<QuantUnit>
{
    public static int Elements => 32;

    public static QuantUnit Load(MatrixView w, int row, int unit)
    {
        long block = ((long)row * w.Units) + unit;

        // The table: 0, 1, 2, 3, 4, 6, 8, 12 and their negatives.
        QuantUnit weights = QuantUnit.FromTable(w.Quants[block], 0x03020100, 0x0C080604, unchecked((int)0xFDFEFF00), unchecked((int)0xF4F8FAFC));
        weights.Low = weights.High = Interop.IntAsFloat((uint)w.Scales[block] << 16);
        weights.Min = 0;
        return weights;
    }

    public static float Dot(QuantUnit weights, InputView x, int inputRow, int unit) => QuantUnit.Dot(weights, x, inputRow, unit);

    public static float Element(QuantUnit weights, int index) => QuantUnit.Element(weights, index);
}
