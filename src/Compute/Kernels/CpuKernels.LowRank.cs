using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Kernels;

internal abstract unsafe partial class CpuKernels
{
    /// <summary>y[outputs[i]] += scales[i] × scale × columns · low[i], for <paramref name="count"/> rows.</summary>
    /// <param name="low">[count × rank].</param>
    public abstract void AddLowRank(LowRankColumns columns, Rows low, float* scales, float scale, int* outputs, int count, Rows y);
}

internal sealed unsafe partial class CpuKernels<T>
{
    public override void AddLowRank(LowRankColumns columns, Rows low, float* scales, float scale, int* outputs, int count, Rows y)
    {
        int groups = Math.Max(1, ChunkValues / Math.Max(1, columns.Rank * count * 16));
        Team.Run(new LowRankJob(columns, low, scales, scale, outputs, count, y, groups), (columns.Groups + groups - 1) / groups);
    }

    /// <summary>A chunk is a stretch of output groups for all rows, so that its columns are read once.</summary>
    private readonly struct LowRankJob(LowRankColumns columns, Rows low, float* scales, float scale, int* outputs, int count, Rows y, int groupsPerChunk) : IJob
    {
        public void Execute(int chunk, int worker)
        {
            int end = Math.Min(columns.Groups, (chunk + 1) * groupsPerChunk);
            for (int group = chunk * groupsPerChunk; group < end; group++)
            {
                int first = group * WeightUnits.GroupRows, width = Math.Min(WeightUnits.GroupRows, columns.Rows - first);
                for (int i = 0; i < count; i++)
                {
                    LowRank.Group<T>(columns.Group(group), low[i], columns.Rank, scales[i] * scale, y[outputs[i]] + first, width);
                }
            }
        }
    }
}
