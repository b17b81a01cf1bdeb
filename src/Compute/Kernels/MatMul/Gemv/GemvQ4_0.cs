using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then four vectors of nibbles each.</summary>
internal readonly unsafe struct GemvQ4_0 : IGemvFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;
    public static int MaxRows => 3;

    private const int Row = ActivationPanel.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        GemvParts.Prefetch(weights, 5);
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.HalfLow(TSimd.Load(weights + half));
            TSimd.Store(sums + half, Block<TSimd, V>(weights + 64 + half, x, unit * 2, scale, TSimd.Load(sums + half)));
        }

        GemvParts.Prefetch(weights + 320, 4);
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.HalfHigh(TSimd.Load(weights + half));
            TSimd.Store(sums + half, Block<TSimd, V>(weights + 320 + half, x, (unit * 2) + 1, scale, TSimd.Load(sums + half)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        for (int b = 0; b < 2; b++)
        {
            int block = (unit * 2) + b;
            byte* quants = weights + 64 + (b * 256), values = x + (block * 32), pairs = x + ActivationPanel.BlockPairs + (block * 4);
            GemvParts.Prefetch(weights + (b * 320), 5 - b);
            V low0 = GemvParts.OffsetStart<TSimd, V>(pairs, 3), low1 = GemvParts.OffsetStart<TSimd, V>(pairs + Row, 3), high0 = default, high1 = default;
            V nextLow0 = low0, nextLow1 = low1, nextHigh0 = default, nextHigh1 = default;
            GemvParts.NibblesTwo<TSimd, V>(quants, values, 16, ref low0, ref low1, ref high0, ref high1, ref nextLow0, ref nextLow1, ref nextHigh0, ref nextHigh1);
            GemvParts.NibblesTwo<TSimd, V>(quants + 128, values + 8, 16, ref low0, ref low1, ref high0, ref high1, ref nextLow0, ref nextLow1, ref nextHigh0, ref nextHigh1);
            V factor0 = TSimd.BroadcastFrom(x + ActivationPanel.BlockScales + (block * 4)), factor1 = TSimd.BroadcastFrom(x + Row + ActivationPanel.BlockScales + (block * 4));
            V scale = Scale<TSimd, V>(weights, b);
            Finish<TSimd, V>(TSimd.Add16(low0, high0), TSimd.Multiply(scale, factor0), sums);
            Finish<TSimd, V>(TSimd.Add16(low1, high1), TSimd.Multiply(scale, factor1), sums + 64);
            if (TSimd.Bytes == 32)
            {
                scale = Scale<TSimd, V>(weights + 32, b);
                Finish<TSimd, V>(TSimd.Add16(nextLow0, nextHigh0), TSimd.Multiply(scale, factor0), sums + 32);
                Finish<TSimd, V>(TSimd.Add16(nextLow1, nextHigh1), TSimd.Multiply(scale, factor1), sums + 96);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Scale<TSimd, V>(byte* weights, int block) where TSimd : ISimd<V> where V : struct =>
        block == 0 ? TSimd.HalfLow(TSimd.Load(weights)) : TSimd.HalfHigh(TSimd.Load(weights));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish<TSimd, V>(V pairs, V factor, byte* sum) where TSimd : ISimd<V> where V : struct =>
        TSimd.Store(sum, TSimd.MultiplyAdd(factor, TSimd.ToFloat(TSimd.MultiplyAddShorts(pairs, TSimd.Broadcast(0x00010001))), TSimd.Load(sum)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Block<TSimd, V>(byte* weights, byte* x, int block, V scale, V sums) where TSimd : ISimd<V> where V : struct
    {
        V low = GemvParts.OffsetStart<TSimd, V>(x + ActivationPanel.BlockPairs + (block * 4), 3), high = default;
        byte* values = x + (block * 32);
        GemvParts.Nibbles4<TSimd, V>(weights, values, values + 16, ref low, ref high);
        V products = TSimd.MultiplyAddShorts(TSimd.Add16(low, high), TSimd.Broadcast(0x00010001));
        return GemvParts.AddBlock<TSimd, V>(products, scale, x, block, sums);
    }
}
