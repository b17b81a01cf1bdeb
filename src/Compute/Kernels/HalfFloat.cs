using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>
/// f16 to f32 by bit tricks, the same in every variant. Exponent and mantissa move into place; for a subnormal, where that gives f, 2f − 2^-14 is the value and the lesser of
/// the two, and for all others f is. No step meets an f32 subnormal, on which multiplications run many times slower. Infinities and NaNs, which no
/// sound weight holds, come out as finite values from 65,536 up.
/// </summary>
internal static class HalfFloat
{
    private const int Magnitude = 0x0FFFE000;
    private const int BiasCorrection = 112 << 23;
    private const float SmallestNormal = 6.103515625e-5f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort half)
    {
        float value = BitConverter.Int32BitsToSingle(((half & 0x7FFF) << 13) + BiasCorrection);
        float subnormal = (2 * value) - SmallestNormal;
        value = subnormal < value ? subnormal : value;
        return (half & 0x8000) == 0 ? value : -value;
    }

    /// <summary>The lower f16 of each dword.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Low(Vector256<int> pair) => High(pair << 16);

    /// <summary>The upper f16 of each dword.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> High(Vector256<int> pair)
    {
        Vector256<float> value = (((pair >>> 3) & Vector256.Create(Magnitude)) + Vector256.Create(BiasCorrection)).AsSingle();
        Vector256<float> subnormal = Fma.MultiplySubtract(value, Vector256.Create(2f), Vector256.Create(SmallestNormal));
        return Avx.Or(Avx.Min(value, subnormal), (pair & Vector256.Create(int.MinValue)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Low(Vector512<int> pair) => High(pair << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> High(Vector512<int> pair)
    {
        if (!Avx512F.IsSupported)
        {
            return Vector512.Create(High(pair.GetLower()), High(pair.GetUpper()));
        }

        Vector512<float> value = (((pair >>> 3) & Vector512.Create(Magnitude)) + Vector512.Create(BiasCorrection)).AsSingle();
        Vector512<float> subnormal = Avx512F.FusedMultiplySubtract(value, Vector512.Create(2f), Vector512.Create(SmallestNormal));
        return Avx512F.Min(value, subnormal) | (pair & Vector512.Create(int.MinValue)).AsSingle();
    }
}
