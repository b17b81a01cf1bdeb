using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: d and dmin, three vectors of 6-bit scales and minimums, eight of fifth bits (bit s: sub-block s), 32 of nibbles.</summary>
internal readonly unsafe struct GemvQ5_K : IGemvFormat
{
    public static int UnitVectors => 44;
    public static int UnitsPerPanel => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Accumulate<TSimd, V>(byte* weights, byte* x, int unit, V sums) where TSimd : ISimd<V> where V : struct
    {
        GemvQ4_K.SixBitScales<TSimd, V>(weights + 64, out V scales, out V upperScales, out V mins, out V upperMins);
        V products = default;
        byte* values = x;
        // The mask of the chunk's first fifth bit; the second is one further up. Both move up two bits a chunk.
        V bit = TSimd.Broadcast(0x01010101);
        for (byte* quants = weights + 768; quants < weights + 2816; quants += 512, values += 64)
        {
            V lowScale = GemvParts.UnsignedPair<TSimd, V>(scales, 0), highScale = GemvParts.UnsignedPair<TSimd, V>(scales, 1);
            V highBit = TSimd.ShiftLeft16(bit, 1);
            // 16 values at a time: 4 · 2 · 31 · 127 is the most an int16 takes.
            for (int half = 0; half < 2; half++)
            {
                byte* q = quants + (half * 256), fifth = weights + 256 + (half * 256), v = values + (half * 16);
                V low = default, high = default;
                GemvParts.Prefetch<TSimd, V>(q, 4);
                GemvParts.Prefetch<TSimd, V>(fifth, 2);
                Quad<TSimd, V>(q, fifth, v, bit, highBit, ref low, ref high);
                Quad<TSimd, V>(q + 64, fifth + 64, v + 4, bit, highBit, ref low, ref high);
                Quad<TSimd, V>(q + 128, fifth + 128, v + 8, bit, highBit, ref low, ref high);
                Quad<TSimd, V>(q + 192, fifth + 192, v + 12, bit, highBit, ref low, ref high);
                products = TSimd.Add32(products, TSimd.Add32(TSimd.MultiplyAddShorts(low, lowScale), TSimd.MultiplyAddShorts(high, highScale)));
            }

            bit = TSimd.ShiftLeft16(bit, 2);
            scales = TSimd.ShiftRight32(scales, 16);
            if (values == x + 64)
            {
                scales = upperScales;
            }
        }

        return GemvQ4_K.Finish<TSimd, V>(weights, x, products, mins, upperMins, sums);
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
