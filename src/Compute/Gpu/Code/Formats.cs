using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>How a unit of weights is loaded and multiplied: decoded once in registers, used for several inputs.</summary>
internal interface IFormat<TUnit>
    where TUnit : unmanaged
{
    /// <summary>Elements of a unit.</summary>
    static abstract int Elements { get; }

    static abstract TUnit Load(MatrixView w, int row, int unit);

    /// <summary>What the unit adds to the product with an input row.</summary>
    static abstract float Dot(TUnit weights, InputView x, int inputRow, int unit);

    static abstract float Element(TUnit weights, int index);
}

/// <summary>32 weights: scale × byte + minimum; the scale of the upper sixteen may be another.</summary>
internal struct QuantUnit
{
    public int Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7;
    public float Low, High, Min;

    public static float Dot(QuantUnit w, InputView x, int inputRow, int unit)
    {
        long block = ((long)inputRow * x.Blocks) + unit;
        Int4 a = x.Quants[block * 2], b = x.Quants[(block * 2) + 1];
        int low = Intrinsics.Dot4(w.Q0, a.X, Intrinsics.Dot4(w.Q1, a.Y, Intrinsics.Dot4(w.Q2, a.Z, Intrinsics.Dot4(w.Q3, a.W, 0))));
        int high = Intrinsics.Dot4(w.Q4, b.X, Intrinsics.Dot4(w.Q5, b.Y, Intrinsics.Dot4(w.Q6, b.Z, Intrinsics.Dot4(w.Q7, b.W, 0))));
        return (x.Scales[block] * ((w.Low * low) + (w.High * high))) + (w.Min * x.Sums[block]);
    }

    public static float Element(QuantUnit w, int index)
    {
        int quad = index / 4;
        int word = quad == 0 ? w.Q0 : quad == 1 ? w.Q1 : quad == 2 ? w.Q2 : quad == 3 ? w.Q3 : quad == 4 ? w.Q4 : quad == 5 ? w.Q5 : quad == 6 ? w.Q6 : w.Q7;
        return ((index < 16 ? w.Low : w.High) * (sbyte)(word >> (index % 4 * 8))) + w.Min;
    }

    /// <summary>Bytes 0 to 15 of the lower nibbles, then of the upper ones.</summary>
    public static QuantUnit FromNibbles(Int4 q) => new()
    {
        Q0 = q.X & 0x0F0F0F0F,
        Q1 = q.Y & 0x0F0F0F0F,
        Q2 = q.Z & 0x0F0F0F0F,
        Q3 = q.W & 0x0F0F0F0F,
        Q4 = (q.X >> 4) & 0x0F0F0F0F,
        Q5 = (q.Y >> 4) & 0x0F0F0F0F,
        Q6 = (q.Z >> 4) & 0x0F0F0F0F,
        Q7 = (q.W >> 4) & 0x0F0F0F0F,
    };

    /// <summary>Sixteen entries of a table by nibbles in order of the elements.</summary>
    public static QuantUnit FromTable(Int4 q, int t0, int t1, int t2, int t3) => new()
    {
        Q0 = Intrinsics.Lookup(q.X & 0xFFFF, t0, t1, t2, t3),
        Q1 = Intrinsics.Lookup((q.X >> 16) & 0xFFFF, t0, t1, t2, t3),
        Q2 = Intrinsics.Lookup(q.Y & 0xFFFF, t0, t1, t2, t3),
        Q3 = Intrinsics.Lookup((q.Y >> 16) & 0xFFFF, t0, t1, t2, t3),
        Q4 = Intrinsics.Lookup(q.Z & 0xFFFF, t0, t1, t2, t3),
        Q5 = Intrinsics.Lookup((q.Z >> 16) & 0xFFFF, t0, t1, t2, t3),
        Q6 = Intrinsics.Lookup(q.W & 0xFFFF, t0, t1, t2, t3),
        Q7 = Intrinsics.Lookup((q.W >> 16) & 0xFFFF, t0, t1, t2, t3),
    };
}

/// <summary>Eight weights as floats.</summary>
internal struct FloatUnit
{
    public float F0, F1, F2, F3, F4, F5, F6, F7;

    public static float Dot(FloatUnit w, InputView x, int inputRow, int unit)
    {
        long first = ((long)inputRow * x.Floats.Stride) + (unit * 8);
        int left = x.Columns - (unit * 8);
        ArrayView<float> v = x.Floats.Values;
        if (left >= 8)
        {
            return (w.F0 * v[first]) + (w.F1 * v[first + 1]) + (w.F2 * v[first + 2]) + (w.F3 * v[first + 3])
                + (w.F4 * v[first + 4]) + (w.F5 * v[first + 5]) + (w.F6 * v[first + 6]) + (w.F7 * v[first + 7]);
        }

        float sum = 0;
        for (int i = 0; i < left; i++)
        {
            sum += Element(w, i) * v[first + i];
        }

        return sum;
    }

    public static float Element(FloatUnit w, int i) =>
        i == 0 ? w.F0 : i == 1 ? w.F1 : i == 2 ? w.F2 : i == 3 ? w.F3 : i == 4 ? w.F4 : i == 5 ? w.F5 : i == 6 ? w.F6 : w.F7;
}
