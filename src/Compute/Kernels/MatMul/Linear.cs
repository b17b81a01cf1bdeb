using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Kernels;

/// <summary>y = W x + b [rows × columns]: one packed matrix for tensors of the same type that stand next to each other, several where the types differ.</summary>
internal sealed unsafe class Linear((IWeightMatrix Matrix, int FirstOutput)[] parts, Vector? bias, LinearSource[] sources) : AdapterDeltas
{
    public ReadOnlySpan<(IWeightMatrix Matrix, int FirstOutput)> Parts => parts;

    /// <summary>The tensors that it was made of.</summary>
    public IReadOnlyList<LinearSource> Sources => sources;

    /// <summary>[rows], or null.</summary>
    public float* Bias => bias is null ? null : bias.Values;

    public int Columns => parts[0].Matrix.Columns;

    public int Rows { get; } = parts[^1].FirstOutput + parts[^1].Matrix.Rows;

    public long Bytes => parts.Sum(part => part.Matrix.Bytes) + (bias?.Bytes ?? 0);
}

/// <summary>Where a tensor's rows stand among the outputs.</summary>
/// <param name="Part">Which expert's or head's rows.</param>
/// <param name="Parts">How many experts or heads the tensor holds.</param>
internal readonly record struct LinearSource(string Tensor, int FirstOutput, int Rows, int Part, int Parts);

/// <summary>The same linear map of every expert, in the form that the device multiplies with.</summary>
internal abstract class ExpertLinear : IDisposable
{
    public abstract long Bytes { get; }

    /// <summary>Each expert's map, where the device holds them one by one.</summary>
    public virtual IReadOnlyList<Linear> Linears => [];

    public abstract void Dispose();
}

/// <summary>Floats in the device's memory: a norm's weight, a bias, a layer's sinks.</summary>
internal sealed unsafe class Vector : IDisposable
{
    private readonly IBuffer _buffer;

    public Vector(IKernels kernels, ReadOnlySpan<float> values)
    {
        Length = values.Length;
        _buffer = kernels.Allocate((long)values.Length * sizeof(float));
        kernels.Upload(values, new Rows(Values, values.Length), 1, values.Length);
    }

    public int Length { get; }

    public long Bytes => _buffer.Bytes;

    public float* Values => (float*)_buffer.Pointer;

    public void Dispose() => _buffer.Dispose();
}

/// <summary>Weight [length] and, for a layer norm, bias of a norm.</summary>
internal sealed record Norm(Vector Weight, Vector? Bias);
