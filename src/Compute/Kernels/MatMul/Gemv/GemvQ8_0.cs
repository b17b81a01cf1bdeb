using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then eight vectors of signed bytes each.</summary>
internal readonly unsafe struct GemvQ8_0 : IGemvFormat
{
    public static int UnitVectors => 17;
    public static int UnitsPerPanel => 4;
    public static int MaxRows => 7;

    private const int Row = ActivationPanel.Bytes;

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
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        for (int b = 0; b < 2; b++)
        {
            int block = (unit * 2) + b;
            byte* quants = weights + 64 + (b * 512), values = x + (block * 32);
            GemvParts.Prefetch(weights + (b * 576), 9 - b);
            V products0 = default, products1 = default, next0 = default, next1 = default;
            for (int quad = 0; quad < 8; quad += 2, quants += 128, values += 8)
            {
                QuadTwo<TSimd, V>(quants, values, ref products0, ref products1, ref next0, ref next1);
                QuadTwo<TSimd, V>(quants + 64, values + 4, ref products0, ref products1, ref next0, ref next1);
            }

            V pair = TSimd.Load(weights), scale = b == 0 ? TSimd.HalfLow(pair) : TSimd.HalfHigh(pair);
            TSimd.Store(sums, GemvParts.AddBlock<TSimd, V>(products0, scale, x, block, TSimd.Load(sums)));
            TSimd.Store(sums + 64, GemvParts.AddBlock<TSimd, V>(products1, scale, x + Row, block, TSimd.Load(sums + 64)));
            if (TSimd.Bytes == 32)
            {
                pair = TSimd.Load(weights + 32);
                scale = b == 0 ? TSimd.HalfLow(pair) : TSimd.HalfHigh(pair);
                TSimd.Store(sums + 32, GemvParts.AddBlock<TSimd, V>(next0, scale, x, block, TSimd.Load(sums + 32)));
                TSimd.Store(sums + 96, GemvParts.AddBlock<TSimd, V>(next1, scale, x + Row, block, TSimd.Load(sums + 96)));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void QuadTwo<TSimd, V>(byte* weights, byte* values, ref V products0, ref V products1, ref V next0, ref V next1) where TSimd : ISimd<V> where V : struct
    {
        V w = TSimd.Load(weights), magnitude = TSimd.Abs8(w), value0 = TSimd.BroadcastFrom(values), value1 = TSimd.BroadcastFrom(values + Row);
        products0 = TSimd.Add32(products0, Product<TSimd, V>(w, magnitude, value0));
        products1 = TSimd.Add32(products1, Product<TSimd, V>(w, magnitude, value1));
        if (TSimd.Bytes == 32)
        {
            w = TSimd.Load(weights + 32);
            magnitude = TSimd.Abs8(w);
            next0 = TSimd.Add32(next0, Product<TSimd, V>(w, magnitude, value0));
            next1 = TSimd.Add32(next1, Product<TSimd, V>(w, magnitude, value1));
        }
    }

    // |w| · (sign(w) · x): 2 · 128 · 127 fits an int16, and so no product sum saturates.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Product<TSimd, V>(V weights, V magnitude, V values) where TSimd : ISimd<V> where V : struct =>
        TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(magnitude, TSimd.Sign8(values, weights)), TSimd.Broadcast(0x00010001));

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Quad<TSimd, V>(byte* weights, byte* values) where TSimd : ISimd<V> where V : struct
    {
        V w = TSimd.Load(weights);
        return Product<TSimd, V>(w, TSimd.Abs8(w), TSimd.BroadcastFrom(values));
    }
}
