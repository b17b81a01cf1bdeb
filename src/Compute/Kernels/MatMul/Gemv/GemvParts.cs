using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>Pieces that the formats share.</summary>
internal static unsafe class GemvParts
{
    // Bytes ahead of the loads: far enough to hide memory's latency, near enough that the line is still in the first-level cache.
    private const int PrefetchDistance = 4096;

    /// <summary>Asks for the lines ahead of those about to be read from here.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(byte* weights, int lines)
    {
        for (int line = 0; line < lines; line++)
        {
            Sse.Prefetch0(weights + PrefetchDistance + (line * 64));
        }
    }

    /// <summary>
    /// Four vectors of nibbles times 32 values: low nibbles meet the values at <paramref name="lowX"/>, high ones those at <paramref name="highX"/>. Adds int16 sums
    /// to <paramref name="low"/> and <paramref name="high"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Nibbles4<TSimd, V>(byte* weights, byte* lowX, byte* highX, ref V low, ref V high) where TSimd : ISimd<V> where V : struct
    {
        V mask = TSimd.Broadcast(0x0F0F0F0F);
        V w0 = TSimd.Load(weights), w1 = TSimd.Load(weights + 64), w2 = TSimd.Load(weights + 128), w3 = TSimd.Load(weights + 192);
        low = TSimd.Add16(low, TSimd.MultiplyAddBytes(TSimd.And(w0, mask), TSimd.BroadcastFrom(lowX)));
        high = TSimd.Add16(high, TSimd.MultiplyAddBytes(TSimd.And(TSimd.ShiftRight16(w0, 4), mask), TSimd.BroadcastFrom(highX)));
        low = TSimd.Add16(low, TSimd.MultiplyAddBytes(TSimd.And(w1, mask), TSimd.BroadcastFrom(lowX + 4)));
        high = TSimd.Add16(high, TSimd.MultiplyAddBytes(TSimd.And(TSimd.ShiftRight16(w1, 4), mask), TSimd.BroadcastFrom(highX + 4)));
        low = TSimd.Add16(low, TSimd.MultiplyAddBytes(TSimd.And(w2, mask), TSimd.BroadcastFrom(lowX + 8)));
        high = TSimd.Add16(high, TSimd.MultiplyAddBytes(TSimd.And(TSimd.ShiftRight16(w2, 4), mask), TSimd.BroadcastFrom(highX + 8)));
        low = TSimd.Add16(low, TSimd.MultiplyAddBytes(TSimd.And(w3, mask), TSimd.BroadcastFrom(lowX + 12)));
        high = TSimd.Add16(high, TSimd.MultiplyAddBytes(TSimd.And(TSimd.ShiftRight16(w3, 4), mask), TSimd.BroadcastFrom(highX + 12)));
    }

    /// <summary>
    /// Two vectors of nibbles times 8 values of two rows: low nibbles meet the values at <paramref name="x"/>, high ones those <paramref name="highX"/> bytes on. Adds int16 sums;
    /// what is called next belongs to the second register of a group, where it takes two.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void NibblesTwo<TSimd, V>(
        byte* weights, byte* x, nint highX, ref V low0, ref V low1, ref V high0, ref V high1, ref V nextLow0, ref V nextLow1, ref V nextHigh0, ref V nextHigh1)
        where TSimd : ISimd<V> where V : struct
    {
        V mask = TSimd.Broadcast(0x0F0F0F0F);
        for (int quad = 0; quad < 2; quad++, weights += 64, x += 4)
        {
            V w = TSimd.Load(weights), low = TSimd.And(w, mask), high = TSimd.And(TSimd.ShiftRight16(w, 4), mask), nextLow = default, nextHigh = default;
            if (TSimd.Bytes == 32)
            {
                w = TSimd.Load(weights + 32);
                nextLow = TSimd.And(w, mask);
                nextHigh = TSimd.And(TSimd.ShiftRight16(w, 4), mask);
            }

            V value = TSimd.BroadcastFrom(x);
            low0 = TSimd.Add16(low0, TSimd.MultiplyAddBytes(low, value));
            nextLow0 = TSimd.Bytes == 32 ? TSimd.Add16(nextLow0, TSimd.MultiplyAddBytes(nextLow, value)) : default;
            value = TSimd.BroadcastFrom(x + ActivationPanel.Bytes);
            low1 = TSimd.Add16(low1, TSimd.MultiplyAddBytes(low, value));
            nextLow1 = TSimd.Bytes == 32 ? TSimd.Add16(nextLow1, TSimd.MultiplyAddBytes(nextLow, value)) : default;
            value = TSimd.BroadcastFrom(x + highX);
            high0 = TSimd.Add16(high0, TSimd.MultiplyAddBytes(high, value));
            nextHigh0 = TSimd.Bytes == 32 ? TSimd.Add16(nextHigh0, TSimd.MultiplyAddBytes(nextHigh, value)) : default;
            value = TSimd.BroadcastFrom(x + ActivationPanel.Bytes + highX);
            high1 = TSimd.Add16(high1, TSimd.MultiplyAddBytes(high, value));
            nextHigh1 = TSimd.Bytes == 32 ? TSimd.Add16(nextHigh1, TSimd.MultiplyAddBytes(nextHigh, value)) : default;
        }
    }

    /// <summary>sums + scale · x's scale of a block · int32 products.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V AddBlock<TSimd, V>(V products, V scale, byte* x, int block, V sums) where TSimd : ISimd<V> where V : struct
    {
        V factor = TSimd.Multiply(scale, TSimd.BroadcastFrom(x + ActivationPanel.BlockScales + (block * 4)));
        return TSimd.MultiplyAdd(factor, TSimd.ToFloat(products), sums);
    }

    /// <summary>products + low · its scale + high · its scale: int16 sums of two sub-blocks and their integer scales.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddProducts<TSimd, V>(V low, V lowScale, V high, V highScale, byte* products) where TSimd : ISimd<V> where V : struct =>
        TSimd.Store(products, TSimd.Add32(TSimd.Load(products), TSimd.Add32(TSimd.MultiplyAddShorts(low, lowScale), TSimd.MultiplyAddShorts(high, highScale))));

    /// <summary>−(offset · sum of the values that each int16 lane sees), the start of a sum of (weight − 2^bits) · value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V OffsetStart<TSimd, V>(byte* pairs, int bits) where TSimd : ISimd<V> where V : struct =>
        TSimd.Subtract16(default, TSimd.ShiftLeft16(TSimd.BroadcastFrom(pairs), bits));

    /// <summary>Four signed int8 scales of a dword each as both int16 of a dword: scale <paramref name="index"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ScalePair<TSimd, V>(V scales, int index) where TSimd : ISimd<V> where V : struct
    {
        // Byte index of each dword to the upper bytes of both its int16, then down with the sign.
        V upper = TSimd.ShuffleBytes(scales, TSimd.Repeat16(0x0480_0480_0080_0080L + (index * 0x0100_0100_0100_0100L), 0x0C80_0C80_0880_0880L + (index * 0x0100_0100_0100_0100L)));
        return TSimd.ShiftRightSigned16(upper, 8);
    }

    /// <summary>Four unsigned bytes of a dword: byte <paramref name="index"/> as both int16 of the dword.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V UnsignedPair<TSimd, V>(V scales, int index) where TSimd : ISimd<V> where V : struct =>
        TSimd.ShuffleBytes(scales, TSimd.Repeat16(
            unchecked((long)0x8004_8004_8000_8000UL) + (index * 0x0001_0001_0001_0001L),
            unchecked((long)0x800C_800C_8008_8008UL) + (index * 0x0001_0001_0001_0001L)));

    /// <summary>Bytes 0 and 1 (or 2 and 3) of each dword as its two int16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V UnsignedNeighbours<TSimd, V>(V bytes, int first) where TSimd : ISimd<V> where V : struct =>
        TSimd.ShuffleBytes(bytes, TSimd.Repeat16(
            unchecked((long)0x8005_8004_8001_8000UL) + (first * 0x0001_0001_0001_0001L),
            unchecked((long)0x800D_800C_8009_8008UL) + (first * 0x0001_0001_0001_0001L)));
}
