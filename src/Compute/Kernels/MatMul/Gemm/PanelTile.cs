using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>
/// A weight panel times a tile of input rows, whose panels follow one another. Sums lie [row][16 lanes] and pass through registers once a panel. The tile's shape
/// follows from the registers: 16 of 32 bytes hold two halves of a group for four rows, 32 of 64 bytes a whole group for eight.
/// </summary>
internal static unsafe class PanelTile<TFormat, TSimd, V>
    where TFormat : IPanelFormat
    where TSimd : ISimd<V>
    where V : struct
{
    /// <summary>Bytes between the panels of neighbouring rows, and between their int16 values.</summary>
    private const int Row = ActivationPanel.Bytes;
    public const int WideRow = ActivationPanel.Length * 2;

    private static int Blocks
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TFormat.SuperBlock ? 1 : 8;
    }

    private static int FoldsPerBlock
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (TFormat.SuperBlock ? 64 : 8) / TFormat.FoldQuads;
    }

    /// <summary>Four input rows, both registers of a group: each broadcast value meets two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PairFour(byte* panel, byte* x, byte* sums)
    {
        byte* w = panel;
        nint k = 0;
        for (int block = 0; block < Blocks; block++)
        {
            V p0 = default, p1 = default, p2 = default, p3 = default, q0 = default, q1 = default, q2 = default, q3 = default;
            for (int fold = 0; fold < FoldsPerBlock; fold++)
            {
                int pair = (block * FoldsPerBlock) + fold;
                V a0 = Start(x, pair), b0 = a0;
                V a1 = Start(x + (1 * Row), pair), b1 = a1;
                V a2 = Start(x + (2 * Row), pair), b2 = a2;
                V a3 = Start(x + (3 * Row), pair), b3 = a3;
                for (int quad = 0; quad < TFormat.FoldQuads; quad += 2, w += 128, k += 8)
                {
                    V first = TSimd.Load(w), second = TSimd.Load(w + TSimd.Bytes);
                    V value = TSimd.BroadcastFrom(x + k);
                    a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(first, value));
                    b0 = TSimd.Add16(b0, TSimd.MultiplyAddBytes(second, value));
                    value = TSimd.BroadcastFrom(x + k + (1 * Row));
                    a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(first, value));
                    b1 = TSimd.Add16(b1, TSimd.MultiplyAddBytes(second, value));
                    value = TSimd.BroadcastFrom(x + k + (2 * Row));
                    a2 = TSimd.Add16(a2, TSimd.MultiplyAddBytes(first, value));
                    b2 = TSimd.Add16(b2, TSimd.MultiplyAddBytes(second, value));
                    value = TSimd.BroadcastFrom(x + k + (3 * Row));
                    a3 = TSimd.Add16(a3, TSimd.MultiplyAddBytes(first, value));
                    b3 = TSimd.Add16(b3, TSimd.MultiplyAddBytes(second, value));
                    V third = TSimd.Load(w + 64), fourth = TSimd.Load(w + 64 + TSimd.Bytes);
                    value = TSimd.BroadcastFrom(x + k + 4);
                    a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(third, value));
                    b0 = TSimd.Add16(b0, TSimd.MultiplyAddBytes(fourth, value));
                    value = TSimd.BroadcastFrom(x + k + (1 * Row) + 4);
                    a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(third, value));
                    b1 = TSimd.Add16(b1, TSimd.MultiplyAddBytes(fourth, value));
                    value = TSimd.BroadcastFrom(x + k + (2 * Row) + 4);
                    a2 = TSimd.Add16(a2, TSimd.MultiplyAddBytes(third, value));
                    b2 = TSimd.Add16(b2, TSimd.MultiplyAddBytes(fourth, value));
                    value = TSimd.BroadcastFrom(x + k + (3 * Row) + 4);
                    a3 = TSimd.Add16(a3, TSimd.MultiplyAddBytes(third, value));
                    b3 = TSimd.Add16(b3, TSimd.MultiplyAddBytes(fourth, value));
                }

                V scale = Scale(panel, fold), upperScale = Scale(panel + TSimd.Bytes, fold);
                p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(a0, scale));
                q0 = TSimd.Add32(q0, TSimd.MultiplyAddShorts(b0, upperScale));
                p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(a1, scale));
                q1 = TSimd.Add32(q1, TSimd.MultiplyAddShorts(b1, upperScale));
                p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(a2, scale));
                q2 = TSimd.Add32(q2, TSimd.MultiplyAddShorts(b2, upperScale));
                p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(a3, scale));
                q3 = TSimd.Add32(q3, TSimd.MultiplyAddShorts(b3, upperScale));
            }

            Finish(panel, x, block, p0, sums);
            Finish(panel + TSimd.Bytes, x, block, q0, sums + TSimd.Bytes);
            Finish(panel, x + (1 * Row), block, p1, sums + 64);
            Finish(panel + TSimd.Bytes, x + (1 * Row), block, q1, sums + 64 + TSimd.Bytes);
            Finish(panel, x + (2 * Row), block, p2, sums + 128);
            Finish(panel + TSimd.Bytes, x + (2 * Row), block, q2, sums + 128 + TSimd.Bytes);
            Finish(panel, x + (3 * Row), block, p3, sums + 192);
            Finish(panel + TSimd.Bytes, x + (3 * Row), block, q3, sums + 192 + TSimd.Bytes);
        }
    }

    /// <summary>Eight input rows, one register of a group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Eight(byte* panel, byte* x, byte* sums)
    {
        byte* w = panel;
        nint k = 0;
        for (int block = 0; block < Blocks; block++)
        {
            V p0 = default, p1 = default, p2 = default, p3 = default, p4 = default, p5 = default, p6 = default, p7 = default;
            for (int fold = 0; fold < FoldsPerBlock; fold++)
            {
                int pair = (block * FoldsPerBlock) + fold;
                V a0 = Start(x, pair);
                V a1 = Start(x + (1 * Row), pair);
                V a2 = Start(x + (2 * Row), pair);
                V a3 = Start(x + (3 * Row), pair);
                V a4 = Start(x + (4 * Row), pair);
                V a5 = Start(x + (5 * Row), pair);
                V a6 = Start(x + (6 * Row), pair);
                V a7 = Start(x + (7 * Row), pair);
                for (int quad = 0; quad < TFormat.FoldQuads; quad++, w += 64, k += 4)
                {
                    V weights = TSimd.Load(w);
                    a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k)));
                    a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (1 * Row))));
                    a2 = TSimd.Add16(a2, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (2 * Row))));
                    a3 = TSimd.Add16(a3, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (3 * Row))));
                    a4 = TSimd.Add16(a4, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (4 * Row))));
                    a5 = TSimd.Add16(a5, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (5 * Row))));
                    a6 = TSimd.Add16(a6, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (6 * Row))));
                    a7 = TSimd.Add16(a7, TSimd.MultiplyAddBytes(weights, TSimd.BroadcastFrom(x + k + (7 * Row))));
                }

                V scale = Scale(panel, fold);
                p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(a0, scale));
                p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(a1, scale));
                p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(a2, scale));
                p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(a3, scale));
                p4 = TSimd.Add32(p4, TSimd.MultiplyAddShorts(a4, scale));
                p5 = TSimd.Add32(p5, TSimd.MultiplyAddShorts(a5, scale));
                p6 = TSimd.Add32(p6, TSimd.MultiplyAddShorts(a6, scale));
                p7 = TSimd.Add32(p7, TSimd.MultiplyAddShorts(a7, scale));
            }

            Finish(panel, x, block, p0, sums);
            Finish(panel, x + (1 * Row), block, p1, sums + 64);
            Finish(panel, x + (2 * Row), block, p2, sums + 128);
            Finish(panel, x + (3 * Row), block, p3, sums + 192);
            Finish(panel, x + (4 * Row), block, p4, sums + 256);
            Finish(panel, x + (5 * Row), block, p5, sums + 320);
            Finish(panel, x + (6 * Row), block, p6, sums + 384);
            Finish(panel, x + (7 * Row), block, p7, sums + 448);
        }
    }

    /// <summary>As <see cref="PairFour"/> for weights of two bytes; <paramref name="wide"/> holds the values as int16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WidePairFour(byte* panel, byte* x, byte* wide, byte* sums)
    {
        byte* w = panel;
        for (int block = 0; block < Blocks; block++)
        {
            V p0 = default, p1 = default, p2 = default, p3 = default, q0 = default, q1 = default, q2 = default, q3 = default;
            for (int pair = 0; pair < 128 / Blocks; pair += 2, w += 128, wide += 8)
            {
                V first = TSimd.Load(w), second = TSimd.Load(w + TSimd.Bytes);
                V value = TSimd.BroadcastFrom(wide);
                p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(first, value));
                q0 = TSimd.Add32(q0, TSimd.MultiplyAddShorts(second, value));
                value = TSimd.BroadcastFrom(wide + (1 * WideRow));
                p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(first, value));
                q1 = TSimd.Add32(q1, TSimd.MultiplyAddShorts(second, value));
                value = TSimd.BroadcastFrom(wide + (2 * WideRow));
                p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(first, value));
                q2 = TSimd.Add32(q2, TSimd.MultiplyAddShorts(second, value));
                value = TSimd.BroadcastFrom(wide + (3 * WideRow));
                p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(first, value));
                q3 = TSimd.Add32(q3, TSimd.MultiplyAddShorts(second, value));
                V third = TSimd.Load(w + 64), fourth = TSimd.Load(w + 64 + TSimd.Bytes);
                value = TSimd.BroadcastFrom(wide + 4);
                p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(third, value));
                q0 = TSimd.Add32(q0, TSimd.MultiplyAddShorts(fourth, value));
                value = TSimd.BroadcastFrom(wide + (1 * WideRow) + 4);
                p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(third, value));
                q1 = TSimd.Add32(q1, TSimd.MultiplyAddShorts(fourth, value));
                value = TSimd.BroadcastFrom(wide + (2 * WideRow) + 4);
                p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(third, value));
                q2 = TSimd.Add32(q2, TSimd.MultiplyAddShorts(fourth, value));
                value = TSimd.BroadcastFrom(wide + (3 * WideRow) + 4);
                p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(third, value));
                q3 = TSimd.Add32(q3, TSimd.MultiplyAddShorts(fourth, value));
            }

            Finish(panel, x, block, p0, sums);
            Finish(panel + TSimd.Bytes, x, block, q0, sums + TSimd.Bytes);
            Finish(panel, x + (1 * Row), block, p1, sums + 64);
            Finish(panel + TSimd.Bytes, x + (1 * Row), block, q1, sums + 64 + TSimd.Bytes);
            Finish(panel, x + (2 * Row), block, p2, sums + 128);
            Finish(panel + TSimd.Bytes, x + (2 * Row), block, q2, sums + 128 + TSimd.Bytes);
            Finish(panel, x + (3 * Row), block, p3, sums + 192);
            Finish(panel + TSimd.Bytes, x + (3 * Row), block, q3, sums + 192 + TSimd.Bytes);
        }
    }

    /// <summary>As <see cref="Eight"/> for weights of two bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WideEight(byte* panel, byte* x, byte* wide, byte* sums)
    {
        byte* w = panel;
        for (int block = 0; block < Blocks; block++)
        {
            V p0 = default, p1 = default, p2 = default, p3 = default, p4 = default, p5 = default, p6 = default, p7 = default;
            for (int pair = 0; pair < 128 / Blocks; pair++, w += 64, wide += 4)
            {
                V weights = TSimd.Load(w);
                p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide)));
                p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (1 * WideRow))));
                p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (2 * WideRow))));
                p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (3 * WideRow))));
                p4 = TSimd.Add32(p4, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (4 * WideRow))));
                p5 = TSimd.Add32(p5, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (5 * WideRow))));
                p6 = TSimd.Add32(p6, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (6 * WideRow))));
                p7 = TSimd.Add32(p7, TSimd.MultiplyAddShorts(weights, TSimd.BroadcastFrom(wide + (7 * WideRow))));
            }

            Finish(panel, x, block, p0, sums);
            Finish(panel, x + (1 * Row), block, p1, sums + 64);
            Finish(panel, x + (2 * Row), block, p2, sums + 128);
            Finish(panel, x + (3 * Row), block, p3, sums + 192);
            Finish(panel, x + (4 * Row), block, p4, sums + 256);
            Finish(panel, x + (5 * Row), block, p5, sums + 320);
            Finish(panel, x + (6 * Row), block, p6, sums + 384);
            Finish(panel, x + (7 * Row), block, p7, sums + 448);
        }
    }

    /// <summary>One input row, one register of a group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void One(byte* panel, byte* x, byte* sums)
    {
        byte* w = panel;
        nint k = 0;
        for (int block = 0; block < Blocks; block++)
        {
            V products = default;
            for (int fold = 0; fold < FoldsPerBlock; fold++)
            {
                V a = Start(x, (block * FoldsPerBlock) + fold), b = default;
                for (int quad = 0; quad < TFormat.FoldQuads; quad += 4, w += 256, k += 16)
                {
                    a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Load(w), TSimd.BroadcastFrom(x + k)));
                    b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Load(w + 64), TSimd.BroadcastFrom(x + k + 4)));
                    a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Load(w + 128), TSimd.BroadcastFrom(x + k + 8)));
                    b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Load(w + 192), TSimd.BroadcastFrom(x + k + 12)));
                }

                products = TSimd.Add32(products, TSimd.MultiplyAddShorts(TSimd.Add16(a, b), Scale(panel, fold)));
            }

            Finish(panel, x, block, products, sums);
        }
    }

    /// <summary>As <see cref="One"/> for weights of two bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WideOne(byte* panel, byte* x, byte* wide, byte* sums)
    {
        byte* w = panel;
        for (int block = 0; block < Blocks; block++)
        {
            V even = default, odd = default;
            for (int pair = 0; pair < 128 / Blocks; pair += 2, w += 128, wide += 8)
            {
                even = TSimd.Add32(even, TSimd.MultiplyAddShorts(TSimd.Load(w), TSimd.BroadcastFrom(wide)));
                odd = TSimd.Add32(odd, TSimd.MultiplyAddShorts(TSimd.Load(w + 64), TSimd.BroadcastFrom(wide + 4)));
            }

            Finish(panel, x, block, TSimd.Add32(even, odd), sums);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Scale(byte* panel, int fold) =>
        TFormat.SuperBlock ? TSimd.Load(panel + WeightPanel.Scales + (fold * 64)) : TSimd.Broadcast(0x00010001);

    // −offset · the values that each int16 lane will see; sums may wrap on the way, not at the end.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Start(byte* x, int fold)
    {
        if (TFormat.Offset == 0)
        {
            return default;
        }

        V pairs = TSimd.BroadcastFrom(x + (TFormat.SuperBlock ? ActivationPanel.Pairs : ActivationPanel.BlockPairs) + (fold * 4));
        return TSimd.MultiplyLow16(pairs, TSimd.Broadcast(unchecked((int)(((uint)(ushort)-TFormat.Offset << 16) | (ushort)-TFormat.Offset))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(byte* panel, byte* x, int block, V products, byte* sums)
    {
        V sum = TSimd.Load(sums);
        V d = TSimd.Load(panel + WeightPanel.D + (block * 64));
        if (TFormat.SuperBlock)
        {
            V scale = TSimd.BroadcastFrom(x + ActivationPanel.Scale);
            sum = TSimd.MultiplyAdd(TSimd.Multiply(d, scale), TSimd.ToFloat(products), sum);
            if (TFormat.MinVectors != 0)
            {
                V minimums = default;
                for (int i = 0; i < TFormat.MinVectors; i++)
                {
                    V pair = TSimd.BroadcastFrom(x + (TFormat.MinVectors == 4 ? ActivationPanel.Sums32 : ActivationPanel.Sums16) + (i * 4));
                    minimums = TSimd.Add32(minimums, TSimd.MultiplyAddShorts(TSimd.Load(panel + WeightPanel.Mins + (i * 64)), pair));
                }

                sum = TSimd.SubtractProduct(TSimd.Multiply(TSimd.Load(panel + WeightPanel.M), scale), TSimd.ToFloat(minimums), sum);
            }
        }
        else
        {
            V scale = TSimd.BroadcastFrom(x + ActivationPanel.BlockScales + (block * 4));
            sum = TSimd.MultiplyAdd(TSimd.Multiply(d, scale), TSimd.ToFloat(products), sum);
            if (TFormat.MinVectors != 0)
            {
                sum = TSimd.MultiplyAdd(TSimd.Load(panel + WeightPanel.M + (block * 64)), TSimd.BroadcastFrom(x + ActivationPanel.BlockSums + (block * 4)), sum);
            }
        }

        TSimd.Store(sums, sum);
    }
}
