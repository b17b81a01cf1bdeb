using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block: 32 vectors of low nibbles, 16 of upper bit pairs, four of signed scales, d.</summary>
internal readonly unsafe struct GemvQ6_K : IGemvFormat
{
    public static int UnitVectors => 53;
    public static int UnitsPerPanel => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Accumulate<TSimd, V>(byte* weights, byte* x, int unit, V sums) where TSimd : ISimd<V> where V : struct
    {
        V products = default;
        byte* values = x, pairs = x + ActivationPanel.Pairs, low = weights, high = weights + 2048, scales = weights + 3072;
        // 128 values a turn: four runs of 32, each of two sub-blocks; quad i of a sub-block meets vector i of its half.
        for (int turn = 0; turn < 2; turn++)
        {
            V firstScales = TSimd.Load(scales), secondScales = TSimd.Load(scales + 64);
            for (int half = 0; half < 2; half++)
            {
                V a = GemvParts.OffsetStart<TSimd, V>(pairs + (half * 4), 5), b = GemvParts.OffsetStart<TSimd, V>(pairs + 8 + (half * 4), 5);
                V c = GemvParts.OffsetStart<TSimd, V>(pairs + 16 + (half * 4), 5), d = GemvParts.OffsetStart<TSimd, V>(pairs + 24 + (half * 4), 5);
                byte* l = low + (half * 256), h = high + (half * 256), v = values + (half * 16);
                GemvParts.Prefetch<TSimd, V>(l, 4);
                GemvParts.Prefetch<TSimd, V>(l + 512, 4);
                GemvParts.Prefetch<TSimd, V>(h, 4);
                Quad<TSimd, V>(l, h, v, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(l + 64, h + 64, v + 4, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(l + 128, h + 128, v + 8, ref a, ref b, ref c, ref d);
                Quad<TSimd, V>(l + 192, h + 192, v + 12, ref a, ref b, ref c, ref d);
                V first = TSimd.Add32(
                    TSimd.MultiplyAddShorts(a, GemvParts.ScalePair<TSimd, V>(firstScales, 0)),
                    TSimd.MultiplyAddShorts(b, GemvParts.ScalePair<TSimd, V>(firstScales, 2)));
                V second = TSimd.Add32(
                    TSimd.MultiplyAddShorts(c, GemvParts.ScalePair<TSimd, V>(secondScales, 0)),
                    TSimd.MultiplyAddShorts(d, GemvParts.ScalePair<TSimd, V>(secondScales, 2)));
                products = TSimd.Add32(products, TSimd.Add32(first, second));
                firstScales = TSimd.ShiftRight32(firstScales, 8);
                secondScales = TSimd.ShiftRight32(secondScales, 8);
            }

            values += 128;
            pairs += 32;
            low += 1024;
            high += 512;
            scales += 128;
        }

        V scale = TSimd.Multiply(TSimd.HalfLow(TSimd.Load(weights + 3328)), TSimd.BroadcastFrom(x + ActivationPanel.Scale));
        return TSimd.MultiplyAdd(scale, TSimd.ToFloat(products), sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Quad<TSimd, V>(byte* low, byte* high, byte* values, ref V a, ref V b, ref V c, ref V d) where TSimd : ISimd<V> where V : struct
    {
        V four = TSimd.Broadcast(0x0F0F0F0F), two = TSimd.Broadcast(0x30303030);
        V l0 = TSimd.Load(low), l1 = TSimd.Load(low + 512), h = TSimd.Load(high);
        a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(l0, four), TSimd.And(TSimd.ShiftLeft16(h, 4), two)), TSimd.BroadcastFrom(values)));
        b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(l1, four), TSimd.And(TSimd.ShiftLeft16(h, 2), two)), TSimd.BroadcastFrom(values + 32)));
        c = TSimd.Add16(c, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(TSimd.ShiftRight16(l0, 4), four), TSimd.And(h, two)), TSimd.BroadcastFrom(values + 64)));
        d = TSimd.Add16(d, TSimd.MultiplyAddBytes(TSimd.Or(TSimd.And(TSimd.ShiftRight16(l1, 4), four), TSimd.And(TSimd.ShiftRight16(h, 2), two)), TSimd.BroadcastFrom(values + 96)));
    }
}
