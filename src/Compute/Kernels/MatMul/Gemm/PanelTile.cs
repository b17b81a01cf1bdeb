using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>A weight panel times one or four input rows; sums lie [row][16 lanes] and pass through registers once a panel.</summary>
internal static unsafe class PanelTile<TFormat, TSimd, V>
    where TFormat : IPanelFormat
    where TSimd : ISimd<V>
    where V : struct
{
    private static int Blocks => TFormat.SuperBlock ? 1 : 8;

    private static int FoldsPerBlock => (TFormat.SuperBlock ? 64 : 8) / TFormat.FoldQuads;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Four(byte* panel, byte* x0, byte* x1, byte* x2, byte* x3, byte* sums)
    {
        byte* w = panel;
        nint k = 0;
        for (int block = 0; block < Blocks; block++)
        {
            V p0 = default, p1 = default, p2 = default, p3 = default;
            for (int fold = 0; fold < FoldsPerBlock; fold++)
            {
                V scale = TFormat.SuperBlock ? TSimd.Load(panel + WeightPanel.Scales + (fold * 64)) : TSimd.Broadcast(0x00010001);
                if (TFormat.Signed)
                {
                    for (int q = 0; q < TFormat.FoldQuads; q++, w += 64, k += 4)
                    {
                        V magnitude = TSimd.Load(w), signed = TSimd.Load(w + WeightPanel.Signed);
                        p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(magnitude, TSimd.Sign8(TSimd.BroadcastFrom(x0 + k), signed)), scale));
                        p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(magnitude, TSimd.Sign8(TSimd.BroadcastFrom(x1 + k), signed)), scale));
                        p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(magnitude, TSimd.Sign8(TSimd.BroadcastFrom(x2 + k), signed)), scale));
                        p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(magnitude, TSimd.Sign8(TSimd.BroadcastFrom(x3 + k), signed)), scale));
                    }
                }
                else
                {
                    int pair = (block * FoldsPerBlock) + fold;
                    V a0 = Start(x0, pair), a1 = Start(x1, pair), a2 = Start(x2, pair), a3 = Start(x3, pair);
                    for (int q = 0; q < TFormat.FoldQuads; q += 2, w += 128, k += 8)
                    {
                        V even = TSimd.Load(w), odd = TSimd.Load(w + 64);
                        a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(even, TSimd.BroadcastFrom(x0 + k)));
                        a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(even, TSimd.BroadcastFrom(x1 + k)));
                        a2 = TSimd.Add16(a2, TSimd.MultiplyAddBytes(even, TSimd.BroadcastFrom(x2 + k)));
                        a3 = TSimd.Add16(a3, TSimd.MultiplyAddBytes(even, TSimd.BroadcastFrom(x3 + k)));
                        a0 = TSimd.Add16(a0, TSimd.MultiplyAddBytes(odd, TSimd.BroadcastFrom(x0 + k + 4)));
                        a1 = TSimd.Add16(a1, TSimd.MultiplyAddBytes(odd, TSimd.BroadcastFrom(x1 + k + 4)));
                        a2 = TSimd.Add16(a2, TSimd.MultiplyAddBytes(odd, TSimd.BroadcastFrom(x2 + k + 4)));
                        a3 = TSimd.Add16(a3, TSimd.MultiplyAddBytes(odd, TSimd.BroadcastFrom(x3 + k + 4)));
                    }

                    p0 = TSimd.Add32(p0, TSimd.MultiplyAddShorts(a0, scale));
                    p1 = TSimd.Add32(p1, TSimd.MultiplyAddShorts(a1, scale));
                    p2 = TSimd.Add32(p2, TSimd.MultiplyAddShorts(a2, scale));
                    p3 = TSimd.Add32(p3, TSimd.MultiplyAddShorts(a3, scale));
                }
            }

            Finish(panel, x0, block, p0, sums);
            Finish(panel, x1, block, p1, sums + 64);
            Finish(panel, x2, block, p2, sums + 128);
            Finish(panel, x3, block, p3, sums + 192);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void One(byte* panel, byte* x, byte* sums)
    {
        byte* w = panel;
        nint k = 0;
        for (int block = 0; block < Blocks; block++)
        {
            V even = default, odd = default;
            for (int fold = 0; fold < FoldsPerBlock; fold++)
            {
                V scale = TFormat.SuperBlock ? TSimd.Load(panel + WeightPanel.Scales + (fold * 64)) : TSimd.Broadcast(0x00010001);
                if (TFormat.Signed)
                {
                    for (int q = 0; q < TFormat.FoldQuads; q += 2, w += 128, k += 8)
                    {
                        even = TSimd.Add32(even, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(TSimd.Load(w), TSimd.Sign8(TSimd.BroadcastFrom(x + k), TSimd.Load(w + WeightPanel.Signed))), scale));
                        odd = TSimd.Add32(odd, TSimd.MultiplyAddShorts(TSimd.MultiplyAddBytes(TSimd.Load(w + 64), TSimd.Sign8(TSimd.BroadcastFrom(x + k + 4), TSimd.Load(w + WeightPanel.Signed + 64))), scale));
                    }
                }
                else
                {
                    V a = Start(x, (block * FoldsPerBlock) + fold), b = default;
                    for (int q = 0; q < TFormat.FoldQuads; q += 4, w += 256, k += 16)
                    {
                        a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Load(w), TSimd.BroadcastFrom(x + k)));
                        b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Load(w + 64), TSimd.BroadcastFrom(x + k + 4)));
                        a = TSimd.Add16(a, TSimd.MultiplyAddBytes(TSimd.Load(w + 128), TSimd.BroadcastFrom(x + k + 8)));
                        b = TSimd.Add16(b, TSimd.MultiplyAddBytes(TSimd.Load(w + 192), TSimd.BroadcastFrom(x + k + 12)));
                    }

                    even = TSimd.Add32(even, TSimd.MultiplyAddShorts(TSimd.Add16(a, b), scale));
                }
            }

            Finish(panel, x, block, TSimd.Add32(even, odd), sums);
        }
    }

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
