using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block in the order of <see cref="WeightUnits.OrderQ6_K"/>: four vectors of signed scales, d, then four times 4 + 4 of low nibbles and 4 of upper bit pairs.</summary>
internal readonly unsafe struct GemvQ6_K : IGemvFormat
{
    public static int UnitVectors => 53;
    public static int UnitsPerPanel => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            TSimd.Store(scratch + half, default);
        }

        // 64 values a turn: four runs of 16, one in each 32 of 128.
        for (int turn = 0; turn < 4; turn++)
        {
            byte* quants = weights + 320 + (turn * 768), values = x + (turn / 2 * 128) + (turn % 2 * 16), pairs = x + ActivationPanel.Pairs + (turn / 2 * 32) + (turn % 2 * 4);
            byte* scales = weights + (turn / 2 * 128);
            GemvParts.Prefetch(weights + (turn * 832), 13);
            for (int half = 0; half < 64; half += TSimd.Bytes, quants += TSimd.Bytes, scales += TSimd.Bytes)
            {
                V a = GemvParts.OffsetStart<TSimd, V>(pairs, 5), b = GemvParts.OffsetStart<TSimd, V>(pairs + 8, 5);
                V c = GemvParts.OffsetStart<TSimd, V>(pairs + 16, 5), d = GemvParts.OffsetStart<TSimd, V>(pairs + 24, 5);
                Quad<TSimd, V>(quants, values, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(quants + 64, values + 4, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(quants + 128, values + 8, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(quants + 192, values + 12, ref a, ref b, ref c, ref d);
                V first = TSimd.ShiftRight32(TSimd.Load(scales), turn % 2 * 8), second = TSimd.ShiftRight32(TSimd.Load(scales + 64), turn % 2 * 8);
                V products = TSimd.Add32(
                    TSimd.Add32(
                        TSimd.MultiplyAddShorts(a, GemvParts.ScalePair<TSimd, V>(first, 0)),
                        TSimd.MultiplyAddShorts(b, GemvParts.ScalePair<TSimd, V>(first, 2))),
                    TSimd.Add32(
                        TSimd.MultiplyAddShorts(c, GemvParts.ScalePair<TSimd, V>(second, 0)),
                        TSimd.MultiplyAddShorts(d, GemvParts.ScalePair<TSimd, V>(second, 2))));
                TSimd.Store(scratch + half, TSimd.Add32(TSimd.Load(scratch + half), products));
            }
        }

        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.Multiply(TSimd.HalfLow(TSimd.Load(weights + 256 + half)), TSimd.BroadcastFrom(x + ActivationPanel.Scale));
            TSimd.Store(sums + half, TSimd.MultiplyAdd(scale, TSimd.ToFloat(TSimd.Load(scratch + half)), TSimd.Load(sums + half)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quad<TSimd, V>(byte* quants, byte* values, ref V a, ref V b, ref V c, ref V d) where TSimd : ISimd<V> where V : struct
    {
        V four = TSimd.Broadcast(0x0F0F0F0F), two = TSimd.Broadcast(0x30303030);
        V l0 = TSimd.Load(quants), l1 = TSimd.Load(quants + 256), h = TSimd.Load(quants + 512);
        a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(l0, four), TSimd.And(TSimd.ShiftLeft16(h, 4), two)), TSimd.BroadcastFrom(values)));
        b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(l1, four), TSimd.And(TSimd.ShiftLeft16(h, 2), two)), TSimd.BroadcastFrom(values + 32)));
        c = TSimd.Add16(c, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(TSimd.ShiftRight16(l0, 4), four), TSimd.And(h, two)), TSimd.BroadcastFrom(values + 64)));
        d = TSimd.Add16(d, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(TSimd.ShiftRight16(l1, 4), four), TSimd.And(TSimd.ShiftRight16(h, 2), two)), TSimd.BroadcastFrom(values + 96)));
    }
}
