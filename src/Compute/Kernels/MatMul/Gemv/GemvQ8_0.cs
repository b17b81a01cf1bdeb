using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then eight vectors of signed bytes each.</summary>
internal readonly unsafe struct GemvQ8_0 : IGemvFormat
{
    public static int UnitVectors => 17;
    public static int UnitsPerPanel => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        GemvParts.Prefetch(weights, 9);
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.HalfLow(TSimd.Load(weights + half));
            TSimd.Store(sums + half, Block<TSimd, V>(weights + 64 + half, x, unit * 2, scale, TSimd.Load(sums + half)));
        }

        GemvParts.Prefetch(weights + 576, 8);
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.HalfHigh(TSimd.Load(weights + half));
            TSimd.Store(sums + half, Block<TSimd, V>(weights + 576 + half, x, (unit * 2) + 1, scale, TSimd.Load(sums + half)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Block<TSimd, V>(byte* weights, byte* x, int block, V scale, V sums) where TSimd : ISimd<V> where V : struct
    {
        byte* values = x + (block * 32);
        V products = TSimd.Add32(
            TSimd.Add32(
                TSimd.Add32(Quad<TSimd, V>(weights, values), Quad<TSimd, V>(weights + 64, values + 4)),
                TSimd.Add32(Quad<TSimd, V>(weights + 128, values + 8), Quad<TSimd, V>(weights + 192, values + 12))),
            TSimd.Add32(
                TSimd.Add32(Quad<TSimd, V>(weights + 256, values + 16), Quad<TSimd, V>(weights + 320, values + 20)),
                TSimd.Add32(Quad<TSimd, V>(weights + 384, values + 24), Quad<TSimd, V>(weights + 448, values + 28))));
        return GemvParts.AddBlock<TSimd, V>(products, scale, x, block, sums);
    }

    // |w| · (sign(w) · x): 2 · 128 · 127 fits an int16, and so no product sum saturates.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Quad<TSimd, V>(byte* weights, byte* values) where TSimd : ISimd<V> where V : struct
    {
        V w = TSimd.Load(weights);
        V pairs = TSimd.MultiplyAddBytes(TSimd.Abs8(w), TSimd.Sign8(TSimd.BroadcastFrom(values), w));
        return TSimd.MultiplyAddShorts(pairs, TSimd.Broadcast(0x00010001));
    }
}
