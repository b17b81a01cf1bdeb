using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>Pieces that the formats share.</summary>
internal static unsafe class PanelParts
{
    /// <summary>Nibbles of <paramref name="vectors"/> vectors: low ones to quads from <paramref name="low"/> on, high ones from <paramref name="high"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Nibbles<TSimd, V>(byte* weights, int vectors, byte* low, byte* high) where TSimd : ISimd<V> where V : struct
    {
        V mask = TSimd.Broadcast(0x0F0F0F0F);
        for (int i = 0; i < vectors * 64; i += 64)
        {
            V w = TSimd.Load(weights + i);
            TSimd.Store(low + i, TSimd.And(w, mask));
            TSimd.Store(high + i, TSimd.And(TSimd.ShiftRight16(w, 4), mask));
        }
    }

    /// <summary>Table values of a block's nibbles times a scale (both int16 of each dword), as int16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LookupWide<TSimd, V>(byte* weights, V table, V scale, byte* panel, int quad) where TSimd : ISimd<V> where V : struct
    {
        V mask = TSimd.Broadcast(0x0F0F0F0F);
        for (int i = 0; i < 4; i++)
        {
            V w = TSimd.Load(weights + (i * 64));
            V low = TSimd.Lookup(table, TSimd.And(w, mask)), high = TSimd.Lookup(table, TSimd.And(TSimd.ShiftRight16(w, 4), mask));
            byte* lowQuad = panel + ((quad + i) * 128), highQuad = lowQuad + 512;
            TSimd.Store(lowQuad, TSimd.MultiplyLow16(FirstTwo<TSimd, V>(low), scale));
            TSimd.Store(lowQuad + 64, TSimd.MultiplyLow16(LastTwo<TSimd, V>(low), scale));
            TSimd.Store(highQuad, TSimd.MultiplyLow16(FirstTwo<TSimd, V>(high), scale));
            TSimd.Store(highQuad + 64, TSimd.MultiplyLow16(LastTwo<TSimd, V>(high), scale));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreWide<TSimd, V>(V bytes, byte* panel, int quad) where TSimd : ISimd<V> where V : struct
    {
        TSimd.Store(panel + (quad * 128), FirstTwo<TSimd, V>(bytes));
        TSimd.Store(panel + (quad * 128) + 64, LastTwo<TSimd, V>(bytes));
    }

    // Two bytes of each dword to the upper halves of its int16, then down with their signs.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V FirstTwo<TSimd, V>(V bytes) where TSimd : ISimd<V> where V : struct =>
        TSimd.ShiftRightSigned16(TSimd.ShuffleBytes(bytes, TSimd.Repeat16(0x0580_0480_0180_0080L, 0x0D80_0C80_0980_0880L)), 8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V LastTwo<TSimd, V>(V bytes) where TSimd : ISimd<V> where V : struct =>
        TSimd.ShiftRightSigned16(TSimd.ShuffleBytes(bytes, TSimd.Repeat16(0x0780_0680_0380_0280L, 0x0F80_0E80_0B80_0A80L)), 8);

    /// <summary>The pair of f16 in each dword as two vectors of f32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Halves<TSimd, V>(V pair, byte* low, byte* high) where TSimd : ISimd<V> where V : struct
    {
        TSimd.Store(low, TSimd.HalfLow(pair));
        TSimd.Store(high, TSimd.HalfHigh(pair));
    }

    /// <summary>Adds a fifth bit to a block's eight quads: bit k of each dword of <paramref name="bits"/> belongs to column k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FifthBits<TSimd, V>(V bits, byte* quads) where TSimd : ISimd<V> where V : struct
    {
        V each = TSimd.Broadcast(0x08040201), sixteen = TSimd.Broadcast(0x10101010);
        for (int q = 0; q < 8; q++)
        {
            // The dword's lowest byte, four times.
            V four = TSimd.ShuffleBytes(bits, TSimd.Repeat16(0x0404_0404_0000_0000L, 0x0C0C_0C0C_0808_0808L));
            V fifth = TSimd.And(TSimd.Equal8(TSimd.And(four, each), each), sixteen);
            TSimd.Store(quads + (q * 64), TSimd.Or(TSimd.Load(quads + (q * 64)), fifth));
            bits = TSimd.ShiftRight32(bits, 4);
        }
    }

    /// <summary>Six-bit scales and minimums of Q4_K and Q5_K; each of the eight scales <paramref name="copies"/> times.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ScalesAndMins<TSimd, V>(byte* packed, byte* panel, int copies) where TSimd : ISimd<V> where V : struct
    {
        GemvQ4_K.SixBitScales<TSimd, V>(packed, out V scales, out V upperScales, out V mins, out V upperMins);
        byte* destination = panel + WeightPanel.Scales;
        for (int s = 0; s < 8; s++)
        {
            V pair = GemvParts.UnsignedPair<TSimd, V>(scales, 0);
            for (int c = 0; c < copies; c++, destination += 64)
            {
                TSimd.Store(destination, pair);
            }

            scales = s == 3 ? upperScales : TSimd.ShiftRight32(scales, 8);
        }

        TSimd.Store(panel + WeightPanel.Mins, GemvParts.UnsignedNeighbours<TSimd, V>(mins, 0));
        TSimd.Store(panel + WeightPanel.Mins + 64, GemvParts.UnsignedNeighbours<TSimd, V>(mins, 2));
        TSimd.Store(panel + WeightPanel.Mins + 128, GemvParts.UnsignedNeighbours<TSimd, V>(upperMins, 0));
        TSimd.Store(panel + WeightPanel.Mins + 192, GemvParts.UnsignedNeighbours<TSimd, V>(upperMins, 2));
    }
}
