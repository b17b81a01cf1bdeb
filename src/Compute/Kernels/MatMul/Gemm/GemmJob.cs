using System.Runtime.CompilerServices;

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
        byte* scratch = stackalloc byte[WeightPanel.Bytes + (RowBlock * 64) + 64];
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
                        Multiply(panel + half, p, first, count, sums + half);
                    }
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

    private void Multiply(byte* panel, int p, int first, int count, byte* sums)
    {
        int i = 0;
        for (; i + 4 <= count; i += 4)
        {
            int row = first + i;
            PanelTile<TFormat, TSimd, V>.Four(panel, task.Panel(p, row), task.Panel(p, row + 1), task.Panel(p, row + 2), task.Panel(p, row + 3), sums + (i * 64));
        }

        for (; i < count; i++)
        {
            PanelTile<TFormat, TSimd, V>.One(panel, task.Panel(p, first + i), sums + (i * 64));
        }
    }
}
