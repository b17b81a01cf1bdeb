using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Kernels;

internal abstract unsafe partial class CpuKernels
{
    public IWeightMatrix Pack(params ReadOnlySpan<WeightPart> parts) => WeightMatrix.Pack(team, parts);

    public void Embed(IWeightMatrix matrix, ReadOnlySpan<int> ids, Rows y) => Embedding.Lookup((WeightMatrix)matrix, ids, y.First, (nint)y.Stride);

    /// <summary>What adapters change in multiplications, or null where none are held.</summary>
    public AdapterStep? Adapters { get; set; }

    public void Multiply(Linear weights, Rows x, int rows, Rows y, bool ofLogitRows = false)
    {
        _inputs!.Set(x.First, (nint)x.Stride, rows, weights.Columns);
        foreach ((IWeightMatrix matrix, int firstOutput) in weights.Parts)
        {
            MatMul.Multiply(team, (WeightMatrix)matrix, _inputs, y.First + firstOutput, (nint)y.Stride);
        }

        if (weights.Bias is not null)
        {
            AddBias(weights.Bias, y, rows, weights.Rows);
        }

        Adapters?.Add(weights, Adapters.Batch, _inputs, null, ofLogitRows ? Adapters.LogitRows : null, rows, y);
    }
}
