using ILGPU;
using ILGPU.Runtime.Cuda;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Instructions that CUDA has and C# has not, each with a twin that means the same; and exponentials from plain arithmetic.</summary>
internal static class Intrinsics
{
    /// <summary>c + the products of four pairs of signed bytes.</summary>
    public static int Dot4(int a, int b, int c)
    {
        if (CudaAsm.IsSupported)
        {
            CudaAsm.Emit("dp4a.s32.s32 %0, %1, %2, %3;", out int sum, a, b, c);
            return sum;
        }

        return c + ((sbyte)a * (sbyte)b) + ((sbyte)(a >> 8) * (sbyte)(b >> 8)) + ((sbyte)(a >> 16) * (sbyte)(b >> 16)) + ((a >> 24) * (b >> 24));
    }

    /// <summary>Four of the eight bytes of (high, low), each named by a nibble of <paramref name="selector"/> below 8.</summary>
    public static int Permute(int low, int high, int selector)
    {
        if (CudaAsm.IsSupported)
        {
            CudaAsm.Emit("prmt.b32 %0, %1, %2, %3;", out int bytes, low, high, selector);
            return bytes;
        }

        return PermutedByte(low, high, selector) | (PermutedByte(low, high, selector >> 4) << 8)
            | (PermutedByte(low, high, selector >> 8) << 16) | (PermutedByte(low, high, selector >> 12) << 24);
    }

    /// <summary>Entries of a table of sixteen signed bytes, four at once.</summary>
    /// <param name="nibbles">Four indices in the lower 16 bits.</param>
    public static int Lookup(int nibbles, int table0, int table1, int table2, int table3)
    {
        int within = nibbles & 0x7777;
        int low = Permute(table0, table1, within), high = Permute(table2, table3, within);
        return Permute(low, high, 0x3210 | ((nibbles & 0x8888) >> 1));
    }

    public static float HalfToFloat(ushort bits) => Interop.IntAsFloat(bits);

    /// <summary>Rounds to the nearest even by bits, the same on every device; what a half cannot hold becomes its largest value.</summary>
    public static ushort FloatToHalf(float value)
    {
        float bounded = value < 65504f ? value : 65504f;
        bounded = bounded > -65504f ? bounded : -65504f;
        uint bits = Interop.FloatAsInt(bounded), magnitude = bits & 0x7FFFFFFFu;

        // Below 2^-14 halves lie 2^-24 apart, and so do floats from 0.5 to 1: the sum with 0.5 rounds to them.
        uint half = magnitude < 0x38800000u
            ? Interop.FloatAsInt(Interop.IntAsFloat(magnitude) + 0.5f) - 0x3F000000u
            : (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
        return (ushort)(half | ((bits >> 16) & 0x8000u));
    }

    /// <summary>e^x to a few units in the last place; 0 below -87.</summary>
    public static float Exp(float x)
    {
        if (x < -87f)
        {
            return 0;
        }

        float bounded = x > 88f ? 88f : x;

        // Rounding to an integer by adding 1.5 · 2^23.
        float rounded = ((bounded * 1.44269504f) + 12582912f) - 12582912f;
        float r = bounded - (rounded * 0.693359375f) - (rounded * -2.12194440e-4f);
        float series = 1.3888889e-3f;
        series = (series * r) + 8.3333333e-3f;
        series = (series * r) + 4.1666667e-2f;
        series = (series * r) + 1.6666667e-1f;
        series = (series * r) + 0.5f;
        series = (series * r * r) + r + 1f;
        return series * Interop.IntAsFloat((uint)(((int)rounded + 127) << 23));
    }

    public static float Tanh(float x) => 1f - (2f / (1f + Exp(2f * x)));

    public static bool IsFinite(float x) => (Interop.FloatAsInt(x) & 0x7F800000u) != 0x7F800000u;

    private static int PermutedByte(int low, int high, int selector)
    {
        int index = selector & 7;
        return ((index < 4 ? low : high) >> ((index & 3) * 8)) & 255;
    }
}
