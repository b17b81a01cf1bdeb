using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Two blocks: scales as a pair of f16, then four vectors of nibbles each, which index sixteen uneven levels.</summary>
internal readonly unsafe struct GemvIQ4_NL : IGemvFormat
{
    public static int UnitVectors => 9;
    public static int UnitsPerPanel => 4;
    public static int MaxRows => 3;

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

    /// <summary>Four vectors of nibbles times 32 values, each sum of two products times the int16 of <paramref name="scale"/>, added to int32 sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Levels<TSimd, V>(byte* weights, byte* values, V scale, V sums) where TSimd : ISimd<V> where V : struct
    {
        V table = PanelIQ4_NL.Table<TSimd, V>(), mask = TSimd.Broadcast(0x0F0F0F0F);
        for (int i = 0; i < 4; i++)
        {
            V w = TSimd.Load(weights + (i * 64));
            V low = TSimd.Lookup(table, TSimd.And(w, mask)), high = TSimd.Lookup(table, TSimd.And(TSimd.ShiftRight16(w, 4), mask));
            sums = TSimd.Add32(sums, TSimd.Add32(Quad<TSimd, V>(low, values + (i * 4), scale), Quad<TSimd, V>(high, values + 16 + (i * 4), scale)));
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Block<TSimd, V>(byte* weights, byte* x, int block, V scale, V sums) where TSimd : ISimd<V> where V : struct =>
        GemvParts.AddBlock<TSimd, V>(Levels<TSimd, V>(weights, x + (block * 32), TSimd.Broadcast(0x00010001), default), scale, x, block, sums);

    // |w| · (sign(w) · x): 2 · 127 · 127 fits an int16, and so no product sum saturates.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Accumulate<TSimd, V>(weights, x, unit, sums, scratch);
        Accumulate<TSimd, V>(weights, x + ActivationPanel.Bytes, unit, sums + 64, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Quad<TSimd, V>(V w, byte* values, V scale) where TSimd : ISimd<V> where V : struct =>
        TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(TSimd.Abs8(w), TSimd.Sign8(TSimd.BroadcastFrom(values), w)), scale);
}
