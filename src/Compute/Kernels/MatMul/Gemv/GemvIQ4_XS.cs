using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: d and the upper bits of eight scales, their lower bits, then eight times four vectors of nibbles, which index sixteen uneven levels.</summary>
internal readonly unsafe struct GemvIQ4_XS : IGemvFormat
{
    public static int UnitVectors => 34;
    public static int UnitsPerPanel => 1;
    public static int MaxRows => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            TSimd.Store(scratch + half, default);
        }

        GemvParts.Prefetch(weights, 2);
        V four = TSimd.Broadcast(15), two = TSimd.Broadcast(3), thirtyTwo = TSimd.Broadcast(0x00200020);
        for (int s = 0; s < 8; s++)
        {
            byte* quants = weights + 128 + (s * 256);
            GemvParts.Prefetch(quants, 4);
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                V lower = TSimd.And(TSimd.ShiftRight32(TSimd.Load(weights + 64 + half), s * 4), four);
                V upper = TSimd.And(TSimd.ShiftRight32(TSimd.Load(weights + half), 16 + (s * 2)), two);
                V scale = TSimd.Or(lower, TSimd.ShiftLeft32(upper, 4));
                scale = TSimd.Subtract16(TSimd.Or(scale, TSimd.ShiftLeft32(scale, 16)), thirtyTwo);
                TSimd.Store(scratch + half, GemvIQ4_NL.Levels<TSimd, V>(quants + half, x + (s * 32), scale, TSimd.Load(scratch + half)));
            }
        }

        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.Multiply(TSimd.HalfLow(TSimd.Load(weights + half)), TSimd.BroadcastFrom(x + ActivationPanel.Scale));
            TSimd.Store(sums + half, TSimd.MultiplyAdd(scale, TSimd.ToFloat(TSimd.Load(scratch + half)), TSimd.Load(sums + half)));
        }
    }
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Accumulate<TSimd, V>(weights, x, unit, sums, scratch);
        Accumulate<TSimd, V>(weights, x + ActivationPanel.Bytes, unit, sums + 64, scratch);
    }

}
