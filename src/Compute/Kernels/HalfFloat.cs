using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Lamina.Compute.Kernels;

/// <summary>
/// f16 to f32 by bit tricks, the same in every variant: exponent and mantissa move into place and a multiplication by 2^112 corrects the bias, subnormals
/// included. Infinities and NaNs, which no sound weight holds, come out as finite values from 65,536 up.
/// </summary>
internal static class HalfFloat
{
    private const float BiasCorrection = 5.192296858534828e33f;
    private const int Mask = unchecked((int)0x8FFFE000);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort half) => BitConverter.Int32BitsToSingle(((int)(short)half << 13) & Mask) * BiasCorrection;

    /// <summary>The lower f16 of each dword.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Low(Vector256<int> pair) => (((pair << 16) >> 3) & Vector256.Create(Mask)).AsSingle() * Vector256.Create(BiasCorrection);

    /// <summary>The upper f16 of each dword.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> High(Vector256<int> pair) => ((pair >> 3) & Vector256.Create(Mask)).AsSingle() * Vector256.Create(BiasCorrection);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Low(Vector512<int> pair) => (((pair << 16) >> 3) & Vector512.Create(Mask)).AsSingle() * Vector512.Create(BiasCorrection);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> High(Vector512<int> pair) => ((pair >> 3) & Vector512.Create(Mask)).AsSingle() * Vector512.Create(BiasCorrection);
}
