using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>One input row, or a few, times a stretch of row groups: reads every weight once from memory, in order, and once more from the cache for every two rows.</summary>
internal readonly unsafe struct GemvJob<TFormat, TSimd, V>(MatMulTask task, int groupsPerChunk) : IJob
    where TFormat : IGemvFormat
    where TSimd : ISimd<V>
    where V : struct
{
    public const int MaxRows = 7;

    [SkipLocalsInit]
    public void Execute(int chunk, int worker)
    {
        byte* space = stackalloc byte[WeightPanel.Bytes + (MaxRows * 64) + 64];
        byte* scratch = (byte*)(((nint)space + 63) & ~63);
        byte* sums = scratch + WeightPanel.Bytes;
        int end = Math.Min(task.Weights.Groups, (chunk + 1) * groupsPerChunk);
        nint stride = (nint)task.Count * ActivationPanel.Bytes;
        for (int group = chunk * groupsPerChunk; group < end; group++)
        {
            byte* weights = task.Weights.Group(group), x = task.Panel(0, 0);
            new Span<byte>(sums, task.Count * 64).Clear();
            int row = 0;
            for (; row + 1 < task.Count; row += 2)
            {
                GroupTwo(weights, x + (row * ActivationPanel.Bytes), stride, task.Weights.Units, sums + (row * 64), scratch);
            }

            if (row < task.Count)
            {
                Group(weights, x + (row * ActivationPanel.Bytes), stride, task.Weights.Units, sums + (row * 64), scratch);
            }

            for (int i = 0; i < task.Count; i++)
            {
                task.Store(group, i, (float*)(sums + (i * 64)));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Group(byte* weights, byte* x, nint panelStride, int units, byte* sums, byte* scratch)
    {
        int unit = 0;
        for (int u = 0; u < units; u++)
        {
            TFormat.Accumulate<TSimd, V>(weights, x, unit, sums, scratch);
            weights += TFormat.UnitVectors * 64;
            if (++unit == TFormat.UnitsPerPanel)
            {
                unit = 0;
                x += panelStride;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void GroupTwo(byte* weights, byte* x, nint panelStride, int units, byte* sums, byte* scratch)
    {
        int unit = 0;
        for (int u = 0; u < units; u++)
        {
            TFormat.AccumulateTwo<TSimd, V>(weights, x, unit, sums, scratch);
            weights += TFormat.UnitVectors * 64;
            if (++unit == TFormat.UnitsPerPanel)
            {
                unit = 0;
                x += panelStride;
            }
        }
    }
}
