namespace Lamina.Compute.Gguf;

/// <summary>
/// A memory-mapped GGUF file, version 2 or 3, one file or all parts of a split one. Every count, length, offset and product of dimensions is checked against
/// <c>GgufLimits</c> and the file's size before use.
/// </summary>
public sealed class GgufFile : ITensorSource, IDisposable
{
    public string Path => throw new NotImplementedException();
    public int Version => throw new NotImplementedException();
    public long FileLength => throw new NotImplementedException();
    public GgufMetadata Metadata => throw new NotImplementedException();

    /// <summary>All tensors in file order.</summary>
    public IReadOnlyList<TensorView> Tensors => throw new NotImplementedException();

    /// <summary>Throws <see cref="InvalidDataException"/> with found, expected and offset when the file is malformed, <see cref="FileNotFoundException"/> and <see cref="IOException"/> as usual.</summary>
    public static GgufFile Open(string path) => throw new NotImplementedException();

    public bool TryGet(string name, out TensorView tensor) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
