namespace Lamina.Compute.Kernels;

/// <summary>Rows of floats in native memory, or some of their columns.</summary>
/// <param name="First">Where row 0 starts.</param>
/// <param name="Stride">Floats from one row to the next.</param>
internal readonly unsafe struct Rows(float* First, long Stride)
{
    public float* First { get; } = First;

    public long Stride { get; } = Stride;

    public float* this[int row] => First + (row * Stride);

    /// <summary>The same rows from <paramref name="offset"/> on.</summary>
    public Rows From(int offset) => new(First + offset, Stride);

    /// <summary>The rows from <paramref name="row"/> on.</summary>
    public Rows Skip(int row) => new(this[row], Stride);
}
