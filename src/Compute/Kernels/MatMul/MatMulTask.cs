using System.Runtime.Intrinsics;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>One multiplication, cut into stretches of row groups.</summary>
internal readonly unsafe struct MatMulTask(WeightMatrix weights, ActivationRows x, byte* panels, int* rows, int count, float* y, nint yStride)
{
    public readonly WeightMatrix Weights = weights;
    public readonly byte* Panels = panels;
    public readonly float* Values = x.Values;
    public readonly nint Stride = x.Stride;
    public readonly int Count = count;

    /// <summary>Float input row of output row <paramref name="i"/>.</summary>
    public float* Input(int i) => Values + ((rows is null ? i : rows[i]) * Stride);

    /// <summary>Panel <paramref name="panel"/> of the quantised input row of output row <paramref name="i"/>; the next row's follows.</summary>
    public byte* Panel(int panel, int i) => Panels + ((((long)panel * Count) + i) * ActivationPanel.Bytes);

    /// <summary>Stores 16 outputs of a group, fewer in the last.</summary>
    public void Store(int group, int i, float* outputs)
    {
        int first = group * WeightUnits.GroupRows;
        int valid = Math.Min(WeightUnits.GroupRows, Weights.Rows - first);
        new ReadOnlySpan<float>(outputs, valid).CopyTo(new Span<float>(y + (i * yStride) + first, valid));
    }

    public void Run(WorkerTeam team)
    {
        if (team.Variant == CpuVariant.Scalar)
        {
            team.Run(new ScalarJob(this, GroupsPerChunk(team)), Chunks(team));
            return;
        }

        switch (Weights.Type)
        {
            case GgmlType.Q4_0: GemvOrGemm<GemvQ4_0, PanelQ4_0>(team); break;
            case GgmlType.Q8_0: GemvOrGemm<GemvQ8_0, PanelQ8_0>(team); break;
            case GgmlType.Q4_K: GemvOrGemm<GemvQ4_K, PanelQ4_K>(team); break;
            case GgmlType.Q5_K: GemvOrGemm<GemvQ5_K, PanelQ5_K>(team); break;
            case GgmlType.Q6_K: GemvOrGemm<GemvQ6_K, PanelQ6_K>(team); break;
            case GgmlType.Q4_1: Gemm<PanelQ4_1>(team); break;
            case GgmlType.Q5_0: Gemm<PanelQ5_0>(team); break;
            case GgmlType.Q5_1: Gemm<PanelQ5_1>(team); break;
            case GgmlType.Q2_K: Gemm<PanelQ2_K>(team); break;
            case GgmlType.Q3_K: Gemm<PanelQ3_K>(team); break;
            case GgmlType.IQ4_NL: GemvOrGemm<GemvIQ4_NL, PanelIQ4_NL>(team); break;
            case GgmlType.IQ4_XS: GemvOrGemm<GemvIQ4_XS, PanelIQ4_XS>(team); break;
            case GgmlType.MXFP4: GemvOrGemm<GemvMXFP4, PanelMXFP4>(team); break;
            default: Floats(team); break;
        }
    }

    private void GemvOrGemm<TGemv, TPanel>(WorkerTeam team) where TGemv : IGemvFormat where TPanel : IPanelFormat
    {
        if (Count > TGemv.MaxRows)
        {
            Gemm<TPanel>(team);
        }
        else if (team.Variant == CpuVariant.Avx512)
        {
            team.Run(new GemvJob<TGemv, Simd512, Vector512<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
        else
        {
            team.Run(new GemvJob<TGemv, Simd256, Vector256<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
    }

    private void Gemm<TPanel>(WorkerTeam team) where TPanel : IPanelFormat
    {
        if (team.Variant == CpuVariant.Avx512)
        {
            team.Run(new GemmJob<TPanel, Simd512, Vector512<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
        else
        {
            team.Run(new GemmJob<TPanel, Simd256, Vector256<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
    }

    private void Floats(WorkerTeam team)
    {
        if (team.Variant == CpuVariant.Avx512)
        {
            team.Run(new FloatJob<Simd512, Vector512<byte>>(this, GroupsPerChunk(team)), Chunks(team));
        }
        else
        {
            team.Run(new FloatJob<Simd256, Vector256<byte>>(this, GroupsPerChunk(team)), Chunks(team));
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
