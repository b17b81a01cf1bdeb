using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>Several input rows times a stretch of row groups: every panel of weights is unpacked once for up to <see cref="RowBlock"/> rows.</summary>
internal readonly unsafe struct GemmJob<TFormat, TSimd, V>(MatMulTask task, int groupsPerChunk) : IJob
    where TFormat : IPanelFormat
    where TSimd : ISimd<V>
    where V : struct
{
    private const int RowBlock = 128;

    [SkipLocalsInit]
    public void Execute(int chunk, int worker)
    {
        byte* scratch = stackalloc byte[WeightPanel.Bytes + (RowBlock * 64) + (8 * ActivationPanel.Length * 2) + 64];
        byte* panel = (byte*)(((nint)scratch + 63) & ~63);
        byte* sums = panel + WeightPanel.Bytes;
        int end = Math.Min(task.Weights.Groups, (chunk + 1) * groupsPerChunk);
        for (int first = 0; first < task.Count; first += RowBlock)
        {
            int count = Math.Min(RowBlock, task.Count - first);
            for (int group = chunk * groupsPerChunk; group < end; group++)
            {
                new Span<byte>(sums, count * 64).Clear();
                int panels = (task.Weights.Units + TFormat.UnitsPerPanel - 1) / TFormat.UnitsPerPanel;
                for (int p = 0; p < panels; p++)
                {
                    int units = Math.Min(TFormat.UnitsPerPanel, task.Weights.Units - (p * TFormat.UnitsPerPanel));
                    byte* packed = task.Weights.Group(group) + ((long)p * TFormat.UnitsPerPanel * TFormat.UnitVectors * 64);
                    if (units < TFormat.UnitsPerPanel)
                    {
                        new Span<byte>(panel, WeightPanel.Bytes).Clear();
                    }

                    for (int half = 0; half < 64; half += TSimd.Bytes)
                    {
                        Unpack(packed + half, units, panel + half);
                    }

                    // The next panel travels while this one is multiplied; past the last group that is a harmless hint.
                    byte* next = packed + (TFormat.UnitsPerPanel * TFormat.UnitVectors * 64);
                    for (int line = 0; line < TFormat.UnitsPerPanel * TFormat.UnitVectors; line++)
                    {
                        Sse.Prefetch1(next + (line * 64));
                    }

                    Multiply(panel, task.Panel(p, first), count, sums);
                }

                for (int i = 0; i < count; i++)
                {
                    task.Store(group, first + i, (float*)(sums + (i * 64)));
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Unpack(byte* packed, int units, byte* panel)
    {
        for (int unit = 0; unit < units; unit++)
        {
            TFormat.Unpack<TSimd, V>(packed, unit, panel);
            packed += TFormat.UnitVectors * 64;
        }
    }

    private static void Multiply(byte* panel, byte* x, int count, byte* sums)
    {
        byte* wide = sums + (RowBlock * 64);
        int tile = TSimd.Bytes == 64 ? 8 : 4;
        for (; count >= tile; count -= tile, x += tile * ActivationPanel.Bytes, sums += tile * 64)
        {
            if (TFormat.Wide)
            {
                Widen(x, tile, wide);
                if (TSimd.Bytes == 64)
                {
                    PanelTile<TFormat, TSimd, V>.WideEight(panel, x, wide, sums);
                }
                else
                {
                    PanelTile<TFormat, TSimd, V>.WidePairFour(panel, x, wide, sums);
                }
            }
            else if (TSimd.Bytes == 64)
            {
                PanelTile<TFormat, TSimd, V>.Eight(panel, x, sums);
            }
            else
            {
                PanelTile<TFormat, TSimd, V>.PairFour(panel, x, sums);
            }
        }

        for (; count > 0; count--, x += ActivationPanel.Bytes, sums += 64)
        {
            if (TFormat.Wide)
            {
                Widen(x, 1, wide);
            }

            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                if (TFormat.Wide)
                {
                    PanelTile<TFormat, TSimd, V>.WideOne(panel + half, x, wide, sums + half);
                }
                else
                {
                    PanelTile<TFormat, TSimd, V>.One(panel + half, x, sums + half);
                }
            }
        }
    }

    // The values of a tile's rows as int16.
    private static void Widen(byte* x, int rows, byte* wide)
    {
        for (; rows > 0; rows--, x += ActivationPanel.Bytes, wide += ActivationPanel.Length * 2)
        {
            for (int k = 0; k < ActivationPanel.Length; k += 16)
            {
                Avx2.ConvertToVector256Int16((sbyte*)x + k).Store((short*)wide + k);
            }
        }
    }
}
