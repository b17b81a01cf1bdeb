using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>One input row times a stretch of row groups: reads every weight once, in order.</summary>
internal readonly unsafe struct GemvJob<TFormat, TSimd, V>(MatMulTask task, int groupsPerChunk) : IJob
    where TFormat : IGemvFormat
    where TSimd : ISimd<V>
    where V : struct
{
    [SkipLocalsInit]
    public void Execute(int chunk, int worker)
    {
        byte* space = stackalloc byte[WeightPanel.Bytes + 128];
        byte* scratch = (byte*)(((nint)space + 63) & ~63);
        byte* sums = scratch + WeightPanel.Bytes;
        int end = Math.Min(task.Weights.Groups, (chunk + 1) * groupsPerChunk);
        for (int group = chunk * groupsPerChunk; group < end; group++)
        {
            for (int i = 0; i < task.Count; i++)
            {
                new Span<byte>(sums, 64).Clear();
                Group(task.Weights.Group(group), task.Panel(0, i), (nint)task.Count * ActivationPanel.Bytes, task.Weights.Units, sums, scratch);
                task.Store(group, i, (float*)sums);
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
}
