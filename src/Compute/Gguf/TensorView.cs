namespace Lamina.Compute.Gguf;

/// <summary>A tensor's bytes with type and shape. The memory belongs to the <see cref="ITensorSource"/> it came from.</summary>
/// <param name="Columns">Length of a row: dimension 0 of the file, contiguous.</param>
/// <param name="Rows">Product of the remaining dimensions.</param>
public unsafe readonly record struct TensorView(string Name, GgmlType Type, long Columns, long Rows, IReadOnlyList<long> Dimensions, nint Address, long ByteLength)
{
    /// <summary>Bytes of rows [<paramref name="firstRow"/>, <paramref name="firstRow"/> + <paramref name="rowCount"/>).</summary>
    public ReadOnlySpan<byte> RowBytes(long firstRow, int rowCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstRow, Rows - rowCount);
        long rowBytes = GgmlTypes.ByteLength(Type, Columns);
        return new ReadOnlySpan<byte>((byte*)Address + (firstRow * rowBytes), checked((int)(rowCount * rowBytes)));
    }
}

/// <summary>Where a stage finds its tensors: a mapped GGUF file, or the verified tensors that a node pulled.</summary>
public interface ITensorSource
{
    bool TryGet(string name, out TensorView tensor);

    /// <summary>The tensor has been copied: a source that maps files lets its pages go, and may be asked for it again.</summary>
    void Release(in TensorView tensor)
    {
    }
}
