using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: d and dmin, three vectors of 6-bit scales and minimums, eight of fifth bits (bit s: sub-block s), 32 of nibbles.</summary>
internal readonly unsafe struct GemvQ5_K : IGemvFormat
{
    public static int UnitVectors => 44;
    public static int UnitsPerPanel => 1;
    public static int MaxRows => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        GemvQ4_K.Start<TSimd, V>(weights, scratch, copies: 1);
        byte* scales = scratch + WeightPanel.Scales;
        for (int chunk = 0; chunk < 4; chunk++, scales += 128)
        {
            V bit = TSimd.Broadcast(0x01010101 << (chunk * 2)), highBit = TSimd.ShiftLeft16(bit, 1);
            GemvParts.Prefetch(weights + (chunk * 704), 11);
            // 16 values at a time: 4 · 2 · 31 · 127 is the most an int16 takes.
            for (int part = 0; part < 2; part++)
            {
                byte* q = weights + 768 + (chunk * 512) + (part * 256), fifth = weights + 256 + (part * 256), v = x + (chunk * 64) + (part * 16);
                for (int half = 0; half < 64; half += TSimd.Bytes, q += TSimd.Bytes, fifth += TSimd.Bytes)
                {
                    V low = default, high = default;
                    Quad<TSimd, V>(q, fifth, v, bit, highBit, ref low, ref high);
                    Quad<TSimd, V>(q + 64, fifth + 64, v + 4, bit, highBit, ref low, ref high);
                    Quad<TSimd, V>(q + 128, fifth + 128, v + 8, bit, highBit, ref low, ref high);
                    Quad<TSimd, V>(q + 192, fifth + 192, v + 12, bit, highBit, ref low, ref high);
                    GemvParts.AddProducts<TSimd, V>(low, TSimd.Load(scales + half), high, TSimd.Load(scales + half + 64), scratch + half);
                }
            }
        }

        GemvQ4_K.Finish<TSimd, V>(weights, x, sums, scratch, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Accumulate<TSimd, V>(weights, x, unit, sums, scratch);
        Accumulate<TSimd, V>(weights, x + ActivationPanel.Bytes, unit, sums + 64, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quad<TSimd, V>(byte* quants, byte* fifthBits, byte* values, V bit, V highBit, ref V low, ref V high) where TSimd : ISimd<V> where V : struct
    {
        V mask = TSimd.Broadcast(0x0F0F0F0F), sixteen = TSimd.Broadcast(0x10101010);
        V w = TSimd.Load(quants), fifth = TSimd.Load(fifthBits);
        V lowWeights = TSimd.Or(TSimd.And(w, mask), TSimd.And(TSimd.Equal8(TSimd.And(fifth, bit), bit), sixteen));
        V highWeights = TSimd.Or(TSimd.And(TSimd.ShiftRight16(w, 4), mask), TSimd.And(TSimd.Equal8(TSimd.And(fifth, highBit), highBit), sixteen));
        low = TSimd.Add16(low, TSimd.MultiplyAddBytes(lowWeights, TSimd.BroadcastFrom(values)));
        high = TSimd.Add16(high, TSimd.MultiplyAddBytes(highWeights, TSimd.BroadcastFrom(values + 32)));
    }
}
