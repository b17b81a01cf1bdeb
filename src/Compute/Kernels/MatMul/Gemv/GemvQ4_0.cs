using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then four vectors of nibbles each.</summary>
internal readonly unsafe struct GemvQ4_0 : IGemvFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;

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
    private static V Block<TSimd, V>(byte* weights, byte* x, int block, V scale, V sums) where TSimd : ISimd<V> where V : struct
    {
        V low = GemvParts.OffsetStart<TSimd, V>(x + ActivationPanel.BlockPairs + (block * 4), 3), high = default;
        byte* values = x + (block * 32);
        GemvParts.Nibbles4<TSimd, V>(weights, values, values + 16, ref low, ref high);
        V products = TSimd.MultiplyAddShorts(TSimd.Add16(low, high), TSimd.Broadcast(0x00010001));
        return GemvParts.AddBlock<TSimd, V>(products, scale, x, block, sums);
    }
}
