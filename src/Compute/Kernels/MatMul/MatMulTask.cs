namespace Lamina.Compute.Kernels;

/// <summary>One multiplication, cut into stretches of row groups.</summary>
internal readonly unsafe struct MatMulTask(WeightMatrix weights, ActivationRows x, byte* panels, int* rows, int count, float* y, nint yStride)
{
    public readonly WeightMatrix Weights = weights;
    public readonly byte* Panels = panels;
    public readonly int PanelRows = x.Rows;
    public readonly float* Values = x.Values;
    public readonly nint Stride = x.Stride;
    public readonly int Count = count;

    /// <summary>Input row of output row <paramref name="i"/>.</summary>
    public int Row(int i) => rows is null ? i : rows[i];

    /// <summary>Panel <paramref name="panel"/> of the input row of output row <paramref name="i"/>.</summary>
    public byte* Panel(int panel, int i) => Panels + ((((long)panel * PanelRows) + Row(i)) * ActivationPanel.Bytes);

    /// <summary>Stores 16 outputs of a group, fewer in the last.</summary>
    public void Store(int group, int i, float* outputs)
    {
        int first = group * WeightUnits.GroupRows;
        int valid = Math.Min(WeightUnits.GroupRows, Weights.Rows - first);
        new ReadOnlySpan<float>(outputs, valid).CopyTo(new Span<float>(y + (i * yStride) + first, valid));
    }

    public void Run(WorkerTeam team)
    {
        int groups = Weights.Groups;
        int groupsPerChunk = Math.Max(1, groups / (team.Workers * 8));
        int chunks = (groups + groupsPerChunk - 1) / groupsPerChunk;
        team.Run(new ScalarJob(this, groupsPerChunk), chunks);
    }

    private readonly struct ScalarJob(MatMulTask task, int groupsPerChunk) : IJob
    {
        public void Execute(int chunk, int worker)
        {
            int end = Math.Min(task.Weights.Groups, (chunk + 1) * groupsPerChunk);
            for (int group = chunk * groupsPerChunk; group < end; group++)
            {
                ScalarMatMul.Group(task, group);
            }
        }
    }
}
