using Lamina.Compute.Kernels;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Model;

/// <summary>y = W x + b [rows × columns]: one packed matrix for tensors of the same type that stand next to each other, several where the types differ.</summary>
internal sealed unsafe class Linear((WeightMatrix Matrix, int FirstOutput)[] parts, Vector? bias, LinearSource[] sources) : AdapterDeltas
{
    public ReadOnlySpan<(WeightMatrix Matrix, int FirstOutput)> Parts => parts;

    /// <summary>The tensors that it was made of.</summary>
    public IReadOnlyList<LinearSource> Sources => sources;

    /// <summary>[rows], or null.</summary>
    public float* Bias => bias is null ? null : bias.Values;

    public int Columns => parts[0].Matrix.Columns;

    public int Rows { get; } = parts[^1].FirstOutput + parts[^1].Matrix.Rows;
}

/// <summary>Where a tensor's rows stand among the outputs.</summary>
/// <param name="Part">Which expert's or head's rows.</param>
/// <param name="Parts">How many experts or heads the tensor holds.</param>
internal readonly record struct LinearSource(string Tensor, int FirstOutput, int Rows, int Part, int Parts);

/// <summary>Floats in native memory: a norm's weight, a bias, a layer's sinks.</summary>
internal sealed unsafe class Vector(int length) : IDisposable
{
    private readonly NativeBuffer _buffer = new((long)length * sizeof(float));

    public int Length => length;

    public long Bytes => _buffer.Bytes;

    public float* Values => (float*)_buffer.Pointer;

    public Span<float> Span => new(Values, length);

    public void Dispose() => _buffer.Dispose();

}

/// <summary>Weight [length] and, for a layer norm, bias of a norm.</summary>
internal sealed record Norm(Vector Weight, Vector? Bias);
