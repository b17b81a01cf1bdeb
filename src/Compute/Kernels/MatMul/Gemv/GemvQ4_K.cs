using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: d and dmin, three vectors of 6-bit scales and minimums, 32 vectors of nibbles.</summary>
internal readonly unsafe struct GemvQ4_K : IGemvFormat
{
    public static int UnitVectors => 36;
    public static int UnitsPerPanel => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Accumulate<TSimd, V>(byte* weights, byte* x, int unit, V sums) where TSimd : ISimd<V> where V : struct
    {
        SixBitScales<TSimd, V>(weights + 64, out V scales, out V upperScales, out V mins, out V upperMins);
        V products = default;
        byte* values = x;
        for (byte* quants = weights + 256; quants < weights + 2304; quants += 512, values += 64)
        {
            V low = default, high = default;
            GemvParts.Nibbles4<TSimd, V>(quants, values, values + 32, ref low, ref high);
            GemvParts.Nibbles4<TSimd, V>(quants + 256, values + 16, values + 48, ref low, ref high);
            products = TSimd.Add32(products, TSimd.MultiplyAddShorts(low, GemvParts.UnsignedPair<TSimd, V>(scales, 0)));
            products = TSimd.Add32(products, TSimd.MultiplyAddShorts(high, GemvParts.UnsignedPair<TSimd, V>(scales, 1)));
            // The next two scales: down within each dword, and after four the upper ones.
            scales = TSimd.ShiftRight32(scales, 16);
            if (values == x + 64)
            {
                scales = upperScales;
            }
        }

        return Finish<TSimd, V>(weights, x, products, mins, upperMins, sums);
    }

    /// <summary>Bytes: scales 0-3 and 4-7, minimums 0-3 and 4-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SixBitScales<TSimd, V>(byte* packed, out V scales, out V upperScales, out V mins, out V upperMins) where TSimd : ISimd<V> where V : struct
    {
        V six = TSimd.Broadcast(0x3F3F3F3F), four = TSimd.Broadcast(0x0F0F0F0F), two = TSimd.Broadcast(0x30303030);
        V a = TSimd.Load(packed), b = TSimd.Load(packed + 64), c = TSimd.Load(packed + 128);
        scales = TSimd.And(a, six);
        mins = TSimd.And(b, six);
        upperScales = TSimd.Or(TSimd.And(c, four), TSimd.And(TSimd.ShiftRight32(a, 2), two));
        upperMins = TSimd.Or(TSimd.And(TSimd.ShiftRight32(c, 4), four), TSimd.And(TSimd.ShiftRight32(b, 2), two));
    }

    /// <summary>Adds d · products and takes off dmin · minimums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Finish<TSimd, V>(byte* weights, byte* x, V products, V mins, V upperMins, V sums) where TSimd : ISimd<V> where V : struct
    {
        V minimums = TSimd.Add32(
            TSimd.Add32(
                TSimd.MultiplyAddShorts(GemvParts.UnsignedNeighbours<TSimd, V>(mins, 0), TSimd.BroadcastFrom(x + ActivationPanel.Sums32)),
                TSimd.MultiplyAddShorts(GemvParts.UnsignedNeighbours<TSimd, V>(mins, 2), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 4))),
            TSimd.Add32(
                TSimd.MultiplyAddShorts(GemvParts.UnsignedNeighbours<TSimd, V>(upperMins, 0), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 8)),
                TSimd.MultiplyAddShorts(GemvParts.UnsignedNeighbours<TSimd, V>(upperMins, 2), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 12))));
        V pair = TSimd.Load(weights), scale = TSimd.BroadcastFrom(x + ActivationPanel.Scale);
        sums = TSimd.MultiplyAdd(TSimd.Multiply(TSimd.HalfLow(pair), scale), TSimd.ToFloat(products), sums);
        return TSimd.SubtractProduct(TSimd.Multiply(TSimd.HalfHigh(pair), scale), TSimd.ToFloat(minimums), sums);
    }
}
