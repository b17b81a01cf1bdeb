using ILGPU;

namespace Lamina.Compute.Gpu.Code;

internal readonly struct FormatF32 : IFormat<FloatUnit>
{
    public static int Elements => 8;

    public static FloatUnit Load(MatrixView w, int row, int unit)
    {
        long block = (((long)row * w.Units) + unit) * 2;
        Int4 a = w.Quants[block], b = w.Quants[block + 1];
        return new FloatUnit
        {
            F0 = Float(a.X),
            F1 = Float(a.Y),
            F2 = Float(a.Z),
            F3 = Float(a.W),
            F4 = Float(b.X),
            F5 = Float(b.Y),
            F6 = Float(b.Z),
            F7 = Float(b.W),
        };
    }

    public static float Dot(FloatUnit weights, InputView x, int inputRow, int unit) => FloatUnit.Dot(weights, x, inputRow, unit);

    public static float Element(FloatUnit weights, int index) => FloatUnit.Element(weights, index);

    private static float Float(int bits) => Interop.IntAsFloat((uint)bits);
}

internal readonly struct FormatF16 : IFormat<FloatUnit>
{
    public static int Elements => 8;

    public static FloatUnit Load(MatrixView w, int row, int unit)
    {
        Int4 a = w.Quants[((long)row * w.Units) + unit];
        return new FloatUnit
        {
            F0 = Low(a.X),
            F1 = High(a.X),
            F2 = Low(a.Y),
            F3 = High(a.Y),
            F4 = Low(a.Z),
            F5 = High(a.Z),
            F6 = Low(a.W),
            F7 = High(a.W),
        };
    }

    public static float Dot(FloatUnit weights, InputView x, int inputRow, int unit) => FloatUnit.Dot(weights, x, inputRow, unit);

    public static float Element(FloatUnit weights, int index) => FloatUnit.Element(weights, index);

    private static float Low(int pair) => Intrinsics.HalfToFloat((ushort)pair);

    private static float High(int pair) => Intrinsics.HalfToFloat((ushort)((uint)pair >> 16));
}

internal readonly struct FormatBF16 : IFormat<FloatUnit>
{
    public static int Elements => 8;

    public static FloatUnit Load(MatrixView w, int row, int unit)
    {
        Int4 a = w.Quants[((long)row * w.Units) + unit];
        return new FloatUnit
        {
            F0 = Low(a.X),
            F1 = High(a.X),
            F2 = Low(a.Y),
            F3 = High(a.Y),
            F4 = Low(a.Z),
            F5 = High(a.Z),
            F6 = Low(a.W),
            F7 = High(a.W),
        };
    }

    public static float Dot(FloatUnit weights, InputView x, int inputRow, int unit) => FloatUnit.Dot(weights, x, inputRow, unit);

    public static float Element(FloatUnit weights, int index) => FloatUnit.Element(weights, index);

    private static float Low(int pair) => Interop.IntAsFloat((uint)pair << 16);

    private static float High(int pair) => Interop.IntAsFloat((uint)pair & 0xFFFF0000u);
}
