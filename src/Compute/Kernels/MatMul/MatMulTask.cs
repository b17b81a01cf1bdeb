using System.Runtime.Intrinsics;
using Lamina.Compute.Gguf;

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
        if (team.Variant == CpuVariant.Scalar || !RunGemv(team))
        {
            team.Run(new ScalarJob(this, GroupsPerChunk(team)), Chunks(team));
        }
    }

    private bool RunGemv(WorkerTeam team)
    {
        switch (Weights.Type)
        {
            case GgmlType.Q4_0: Gemv<GemvQ4_0>(team); return true;
            case GgmlType.Q8_0: Gemv<GemvQ8_0>(team); return true;
            case GgmlType.Q4_K: Gemv<GemvQ4_K>(team); return true;
            case GgmlType.Q5_K: Gemv<GemvQ5_K>(team); return true;
            case GgmlType.Q6_K: Gemv<GemvQ6_K>(team); return true;
            default: return false;
        }
    }

    private void Gemv<TFormat>(WorkerTeam team) where TFormat : IGemvFormat
    {
        if (team.Variant == CpuVariant.Avx512)
        {
            team.Run(new GemvJob<TFormat, Simd512, Vector512<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
        else
        {
            team.Run(new GemvJob<TFormat, Simd256, Vector256<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
    }

    // About eight chunks a worker: small enough that a worker that lost its core for a while leaves its share to the others.
    private int GroupsPerChunk(WorkerTeam team) => Math.Max(1, Weights.Groups / (team.Workers * 8));

    private int Chunks(WorkerTeam team) => (Weights.Groups + GroupsPerChunk(team) - 1) / GroupsPerChunk(team);

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
