using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A super-block in the order of <see cref="WeightUnits.OrderQ6_K"/>: four vectors of signed scales, d, then four times 4 + 4 of low nibbles and 4 of upper bit pairs.</summary>
internal readonly unsafe struct GemvQ6_K : IGemvFormat
{
    public static int UnitVectors => 53;
    public static int UnitsPerPanel => 1;
    public static int MaxRows => 3;

    private const int Row = ActivationPanel.Bytes;

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

        Finish<TSimd, V>(weights, x, sums, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct
    {
        new Span<byte>(scratch, 128).Clear();
        for (int turn = 0; turn < 4; turn++)
        {
            byte* quants = weights + 320 + (turn * 768), values = x + (turn / 2 * 128) + (turn % 2 * 16), pairs = x + ActivationPanel.Pairs + (turn / 2 * 32) + (turn % 2 * 4);
            byte* scales = weights + (turn / 2 * 128);
            GemvParts.Prefetch(weights + (turn * 832), 13);

            // Two runs of 16 at a time, lest the sums outgrow the registers: those of the low nibbles, then those of the high ones.
            RunsTwo<TSimd, V>(quants, values, pairs, 0, scales, turn % 2 * 8, scratch);
            RunsTwo<TSimd, V>(quants, values + 64, pairs + 16, 4, scales + 64, turn % 2 * 8, scratch);
        }

        Finish<TSimd, V>(weights, x, sums, scratch);
        Finish<TSimd, V>(weights, x + Row, sums + 64, scratch + 64);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void RunsTwo<TSimd, V>(byte* quants, byte* values, byte* pairs, int shift, byte* scales, int scaleShift, byte* products) where TSimd : ISimd<V> where V : struct
    {
        V a0 = GemvParts.OffsetStart<TSimd, V>(pairs, 5), b0 = GemvParts.OffsetStart<TSimd, V>(pairs + 8, 5);
        V a1 = GemvParts.OffsetStart<TSimd, V>(pairs + Row, 5), b1 = GemvParts.OffsetStart<TSimd, V>(pairs + Row + 8, 5);
        V nextA0 = a0, nextB0 = b0, nextA1 = a1, nextB1 = b1;
        for (int quad = 0; quad < 4; quad++, quants += 64, values += 4)
        {
            V a = Run<TSimd, V>(quants, quants + 512, shift, shift), nextA = default;
            V b = Run<TSimd, V>(quants + 256, quants + 512, shift, shift + 2), nextB = default;
            if (TSimd.Bytes == 32)
            {
                nextA = Run<TSimd, V>(quants + 32, quants + 544, shift, shift);
                nextB = Run<TSimd, V>(quants + 288, quants + 544, shift, shift + 2);
            }

            V value = TSimd.BroadcastFrom(values);
            a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(a, value));
            nextA0 = TSimd.Bytes == 32 ? TSimd.Add16(nextA0, TSimd.MultiplyAddBytes(nextA, value)) : default;
            value = TSimd.BroadcastFrom(values + Row);
            a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(a, value));
            nextA1 = TSimd.Bytes == 32 ? TSimd.Add16(nextA1, TSimd.MultiplyAddBytes(nextA, value)) : default;
            value = TSimd.BroadcastFrom(values + 32);
            b0 = TSimd.Add16(b0, TSimd.MultiplyAddBytes(b, value));
            nextB0 = TSimd.Bytes == 32 ? TSimd.Add16(nextB0, TSimd.MultiplyAddBytes(nextB, value)) : default;
            value = TSimd.BroadcastFrom(values + Row + 32);
            b1 = TSimd.Add16(b1, TSimd.MultiplyAddBytes(b, value));
            nextB1 = TSimd.Bytes == 32 ? TSimd.Add16(nextB1, TSimd.MultiplyAddBytes(nextB, value)) : default;
        }

        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.ShiftRight32(TSimd.Load(scales + half), scaleShift), aScale = GemvParts.ScalePair<TSimd, V>(scale, 0), bScale = GemvParts.ScalePair<TSimd, V>(scale, 2);
            GemvParts.AddProducts<TSimd, V>(half == 0 ? a0 : nextA0, aScale, half == 0 ? b0 : nextB0, bScale, products + half);
            GemvParts.AddProducts<TSimd, V>(half == 0 ? a1 : nextA1, aScale, half == 0 ? b1 : nextB1, bScale, products + half + 64);
        }
    }

    // Low nibbles (shift 0) or high ones (4), with the bit pair that stands at highShift: 0 to 6.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Run<TSimd, V>(byte* nibbles, byte* high, int shift, int highShift) where TSimd : ISimd<V> where V : struct
    {
        V low = TSimd.Load(nibbles), pairs = TSimd.Load(high);
        low = shift == 0 ? low : TSimd.ShiftRight16(low, 4);
        pairs = highShift < 4 ? TSimd.ShiftLeft16(pairs, 4 - highShift) : highShift == 4 ? pairs : TSimd.ShiftRight16(pairs, 2);
        return TSimd.Or(TSimd.And(low, TSimd.Broadcast(0x0F0F0F0F)), TSimd.And(pairs, TSimd.Broadcast(0x30303030)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish<TSimd, V>(byte* weights, byte* x, byte* sums, byte* products) where TSimd : ISimd<V> where V : struct
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            V scale = TSimd.Multiply(TSimd.HalfLow(TSimd.Load(weights + 256 + half)), TSimd.BroadcastFrom(x + ActivationPanel.Scale));
            TSimd.Store(sums + half, TSimd.MultiplyAdd(scale, TSimd.ToFloat(TSimd.Load(products + half)), TSimd.Load(sums + half)));
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
