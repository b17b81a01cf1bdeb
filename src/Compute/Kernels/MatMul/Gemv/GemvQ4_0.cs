using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then four vectors of nibbles each.</summary>
internal readonly unsafe struct GemvQ4_0 : IGemvFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Accumulate<TSimd, V>(byte* weights, byte* x, int unit, V sums) where TSimd : ISimd<V> where V : struct
    {
        V scales = TSimd.Load(weights);
        int block = unit * 2;
        sums = Block<TSimd, V>(weights + 64, x, block, TSimd.HalfLow(scales), sums);
        return Block<TSimd, V>(weights + 320, x, block + 1, TSimd.HalfHigh(scales), sums);
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
