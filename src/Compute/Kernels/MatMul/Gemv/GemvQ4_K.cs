using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: d and dmin, three vectors of 6-bit scales and minimums, 32 vectors of nibbles.</summary>
internal readonly unsafe struct GemvQ4_K : IGemvFormat
{
    public static int UnitVectors => 36;
    public static int UnitsPerPanel => 1;
    public static int MaxRows => 3;

    private const int Row = ActivationPanel.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Start<TSimd, V>(weights, scratch, copies: 1);
        byte* scales = scratch + WeightPanel.Scales;
        for (int chunk = 0; chunk < 4; chunk++, scales += 128)
        {
            byte* quants = weights + 256 + (chunk * 512), values = x + (chunk * 64);
            GemvParts.Prefetch(weights + (chunk * 576), 9);
            for (int half = 0; half < 64; half += TSimd.Bytes, quants += TSimd.Bytes)
            {
                V low = default, high = default;
                GemvParts.Nibbles4<TSimd, V>(quants, values, values + 32, ref low, ref high);
                GemvParts.Nibbles4<TSimd, V>(quants + 256, values + 16, values + 48, ref low, ref high);
                GemvParts.AddProducts<TSimd, V>(low, TSimd.Load(scales + half), high, TSimd.Load(scales + half + 64), scratch + half);
            }
        }

        Finish<TSimd, V>(weights, x, sums, scratch, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        Start<TSimd, V>(weights, scratch, copies: 1);
        new Span<byte>(scratch, 128).Clear();
        byte* scales = scratch + WeightPanel.Scales;
        for (int chunk = 0; chunk < 4; chunk++, scales += 128)
        {
            byte* quants = weights + 256 + (chunk * 512), values = x + (chunk * 64);
            GemvParts.Prefetch(weights + (chunk * 576), 9);
            V low0 = default, low1 = default, high0 = default, high1 = default, nextLow0 = default, nextLow1 = default, nextHigh0 = default, nextHigh1 = default;
            for (int quad = 0; quad < 8; quad += 2, quants += 128, values += 8)
            {
                GemvParts.NibblesTwo<TSimd, V>(quants, values, 32, ref low0, ref low1, ref high0, ref high1, ref nextLow0, ref nextLow1, ref nextHigh0, ref nextHigh1);
            }

            V lowScale = TSimd.Load(scales), highScale = TSimd.Load(scales + 64);
            GemvParts.AddProducts<TSimd, V>(low0, lowScale, high0, highScale, scratch);
            GemvParts.AddProducts<TSimd, V>(low1, lowScale, high1, highScale, scratch + 64);
            if (TSimd.Bytes == 32)
            {
                lowScale = TSimd.Load(scales + 32);
                highScale = TSimd.Load(scales + 96);
                GemvParts.AddProducts<TSimd, V>(nextLow0, lowScale, nextHigh0, highScale, scratch + 32);
                GemvParts.AddProducts<TSimd, V>(nextLow1, lowScale, nextHigh1, highScale, scratch + 96);
            }
        }

        Finish<TSimd, V>(weights, x, sums, scratch, scratch);
        Finish<TSimd, V>(weights, x + Row, sums + 64, scratch + 64, scratch);
    }

    /// <summary>Clears the products at the scratch's start and unpacks scales and minimums behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Start<TSimd, V>(byte* weights, byte* scratch, int copies) where TSimd : ISimd<V> where V : struct
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            TSimd.Store(scratch + half, default);
            PanelParts.ScalesAndMins<TSimd, V>(weights + 64 + half, scratch + half, copies);
        }
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
    public static void Finish<TSimd, V>(byte* weights, byte* x, byte* sums, byte* products, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            byte* mins = scratch + WeightPanel.Mins + half;
            V minimums = TSimd.Add32(
                TSimd.Add32(
                    TSimd.MultiplyAddShorts(TSimd.Load(mins), TSimd.BroadcastFrom(x + ActivationPanel.Sums32)),
                    TSimd.MultiplyAddShorts(TSimd.Load(mins + 64), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 4))),
                TSimd.Add32(
                    TSimd.MultiplyAddShorts(TSimd.Load(mins + 128), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 8)),
                    TSimd.MultiplyAddShorts(TSimd.Load(mins + 192), TSimd.BroadcastFrom(x + ActivationPanel.Sums32 + 12))));
            V pair = TSimd.Load(weights + half), scale = TSimd.BroadcastFrom(x + ActivationPanel.Scale), sum = TSimd.Load(sums + half);
            sum = TSimd.MultiplyAdd(TSimd.Multiply(TSimd.HalfLow(pair), scale), TSimd.ToFloat(TSimd.Load(products + half)), sum);
            TSimd.Store(sums + half, TSimd.SubtractProduct(TSimd.Multiply(TSimd.HalfHigh(pair), scale), TSimd.ToFloat(minimums), sum));
        }
    }
}
