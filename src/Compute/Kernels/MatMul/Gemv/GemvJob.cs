using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>One input row times a stretch of row groups: reads every weight once, in order.</summary>
internal readonly unsafe struct GemvJob<TFormat, TSimd, V>(MatMulTask task, int groupsPerChunk) : IJob
    where TFormat : IGemvFormat
    where TSimd : ISimd<V>
    where V : struct
{
    public void Execute(int chunk, int worker)
    {
        int end = Math.Min(task.Weights.Groups, (chunk + 1) * groupsPerChunk);
        float* sums = stackalloc float[WeightUnits.GroupRows];
        for (int group = chunk * groupsPerChunk; group < end; group++)
        {
            for (int i = 0; i < task.Count; i++)
            {
                Group(task.Weights.Group(group), task.Panel(0, i), (nint)task.Count * ActivationPanel.Bytes, task.Weights.Units, sums);
                task.Store(group, i, sums);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Group(byte* weights, byte* x, nint panelStride, int units, float* sums)
    {
        for (int half = 0; half < 64; half += TSimd.Bytes)
        {
            TSimd.Store((byte*)sums + half, default);
        }

        int unit = 0;
        for (int u = 0; u < units; u++)
        {
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                byte* sum = (byte*)sums + half;
                TSimd.Store(sum, TFormat.Accumulate<TSimd, V>(weights + half, x, unit, TSimd.Load(sum)));
            }

            weights += TFormat.UnitVectors * 64;
            if (++unit == TFormat.UnitsPerPanel)
            {
                unit = 0;
                x += panelStride;
            }
        }
    }
}
