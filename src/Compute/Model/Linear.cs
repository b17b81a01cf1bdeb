using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>y = W x + b [rows × columns]: one packed matrix for tensors of the same type that stand next to each other, several where the types differ.</summary>
internal sealed unsafe class Linear((WeightMatrix Matrix, int FirstOutput)[] parts, Vector? bias)
{
    public ReadOnlySpan<(WeightMatrix Matrix, int FirstOutput)> Parts => parts;

    /// <summary>[rows], or null.</summary>
    public float* Bias => bias is null ? null : bias.Values;

    public int Columns => parts[0].Matrix.Columns;

    public int Rows { get; } = parts[^1].FirstOutput + parts[^1].Matrix.Rows;
}

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
