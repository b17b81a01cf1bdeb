using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>Writes one part's rows to their lanes of a <see cref="WeightMatrix"/>.</summary>
internal readonly unsafe struct WeightPacker(WorkerTeam team, WeightMatrix matrix, WeightPart part, int destination) : IJob
{
    // A chunk per group, so that no two workers write to the same cache line.
    public void Run()
    {
        if (part.Rows > 0)
        {
            int firstGroup = destination / WeightUnits.GroupRows;
            int lastGroup = (destination + part.Rows - 1) / WeightUnits.GroupRows;
            team.Run(this, lastGroup - firstGroup + 1);
        }
    }

    public void Execute(int chunk, int worker)
    {
        int group = (destination / WeightUnits.GroupRows) + chunk;
        int first = Math.Max(destination, group * WeightUnits.GroupRows);
        int end = Math.Min(destination + part.Rows, (group + 1) * WeightUnits.GroupRows);
        GgmlType type = matrix.Type;
        (int elements, int dwords) = WeightUnits.Size(type);
        int blockElements = GgmlTypes.BlockElements(type);
        int blockBytes = GgmlTypes.BlockBytes(type);
        int rowBlocks = matrix.Columns / blockElements;
        int unitBlocks = elements / blockElements;
        uint* unit = stackalloc uint[dwords];
        for (int row = first; row < end; row++)
        {
            byte* source = (byte*)part.Tensor.Address + ((part.FirstRow + row - destination) * rowBlocks * blockBytes);
            uint* lane = (uint*)matrix.Group(group) + (row % WeightUnits.GroupRows);
            for (int block = 0; block < rowBlocks; block += unitBlocks)
            {
                WeightUnits.Gather(type, source + ((long)block * blockBytes), Math.Min(unitBlocks, rowBlocks - block), unit);
                for (int i = 0; i < dwords; i++, lane += WeightUnits.GroupRows)
                {
                    *lane = unit[i];
                }
            }
        }
    }
}
