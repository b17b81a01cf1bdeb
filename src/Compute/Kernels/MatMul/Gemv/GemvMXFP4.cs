using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Four blocks: their exponents as the bytes of a dword, then four vectors of nibbles each, which are floats of four bits.</summary>
internal readonly unsafe struct GemvMXFP4 : IGemvFormat
{
    public static int UnitVectors => 17;
    public static int UnitsPerPanel => 2;
    public static int MaxRows => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        GemvParts.Prefetch(weights, 1);
        for (int b = 0; b < 4; b++)
        {
            byte* quants = weights + 64 + (b * 256);
            GemvParts.Prefetch(quants, 4);
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                V scale = Scale<TSimd, V>(TSimd.Load(weights + half), b);
                TSimd.Store(sums + half, Block<TSimd, V>(quants + half, x, (unit * 4) + b, scale, TSimd.Load(sums + half)));
            }
        }
    }

    /// <summary>2^(e - 128) of a dword's b-th byte e; the two that are no normal numbers, e = 0 and 1, are mended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Scale<TSimd, V>(V exponents, int b) where TSimd : ISimd<V> where V : struct
    {
        V e = TSimd.ShuffleBytes(exponents, TSimd.Repeat16(0x0404_0404_0000_0000L + (b * 0x0101_0101_0101_0101L), 0x0C0C_0C0C_0808_0808L + (b * 0x0101_0101_0101_0101L)));
        V bits = TSimd.Add32(TSimd.ShiftLeft32(TSimd.And(e, TSimd.Broadcast(0xFF)), 23), TSimd.Broadcast(-0x0080_0000));
        V zero = TSimd.And(TSimd.Equal8(e, default), TSimd.Broadcast(0x00A0_0000));
        V one = TSimd.And(TSimd.Equal8(e, TSimd.Broadcast(0x0101_0101)), TSimd.Broadcast(0x0040_0000));
        return TSimd.Add32(bits, TSimd.Add32(zero, one));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Accumulate<TSimd, V>(weights, x, unit, sums, scratch);
        Accumulate<TSimd, V>(weights, x + ActivationPanel.Bytes, unit, sums + 64, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Block<TSimd, V>(byte* weights, byte* x, int block, V scale, V sums) where TSimd : ISimd<V> where V : struct
    {
        // Twice the values and 12, so that they are unsigned; 12 times the sum of x is taken off at the start. Sums of int16 wrap on the way and fit in the end.
        V table = TSimd.Repeat16(0x1814_1210_0F0E_0D0CL, 0x0004_0608_090A_0B0CL), mask = TSimd.Broadcast(0x0F0F0F0F);
        byte* pairs = x + ActivationPanel.BlockPairs + (block * 4), values = x + (block * 32);
        V low = GemvParts.OffsetStart<TSimd, V>(pairs, 3), high = GemvParts.OffsetStart<TSimd, V>(pairs, 2);
        for (int i = 0; i < 4; i++)
        {
            V w = TSimd.Load(weights + (i * 64));
            low = TSimd.Add16(low, TSimd.MultiplyAddBytes(TSimd.Lookup(table, TSimd.And(w, mask)), TSimd.BroadcastFrom(values + (i * 4))));
            high = TSimd.Add16(high, TSimd.MultiplyAddBytes(TSimd.Lookup(table, TSimd.And(TSimd.ShiftRight16(w, 4), mask)), TSimd.BroadcastFrom(values + 16 + (i * 4))));
        }

        V products = TSimd.MultiplyAddShorts(TSimd.Add16(low, high), TSimd.Broadcast(0x00010001));
        return GemvParts.AddBlock<TSimd, V>(products, scale, x, block, sums);
    }
}
