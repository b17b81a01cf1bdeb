namespace Lamina.Compute.Gguf;

/// <summary>
/// A memory-mapped GGUF file, version 2 or 3, one file or all parts of a split one. Every count, length, offset and product of dimensions is checked against
/// <see cref="GgufLimits"/> and the file's size before use. Tensor memory is valid until disposal; the metadata outlives it.
/// </summary>
public sealed class GgufFile : ITensorSource, IDisposable
{
    private readonly List<MappedFile> parts = [];
    private readonly List<TensorView> tensors = [];
    private readonly Dictionary<string, TensorView> byName = new(StringComparer.Ordinal);

    private GgufFile(string path) => Path = path;

    public string Path { get; }

    public int Version { get; private set; }

    /// <summary>Bytes of all parts together.</summary>
    public long FileLength { get; private set; }

    /// <summary>Key/value pairs of the file, or of the first part of a split one.</summary>
    public GgufMetadata Metadata { get; private set; } = null!;

    /// <summary>All tensors in file order.</summary>
    public IReadOnlyList<TensorView> Tensors => tensors;

    /// <summary>
    /// Throws <see cref="InvalidDataException"/> with found, expected and offset when the file is malformed, <see cref="FileNotFoundException"/> and
    /// <see cref="IOException"/> as usual. Of a split model, give the first part.
    /// </summary>
    public static GgufFile Open(string path) => Open(path, GgufLimits.Default);

    public static GgufFile Open(string path, GgufLimits limits)
    {
        var file = new GgufFile(path);
        try
        {
            file.Load(limits);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public bool TryGet(string name, out TensorView tensor) => byName.TryGetValue(name, out tensor);

    public void Release(in TensorView tensor) => FilePages.Release(tensor.Address, tensor.ByteLength);

    public void Dispose()
    {
        foreach (MappedFile part in parts)
        {
            part.Dispose();
        }
    }

    private void Load(GgufLimits limits)
    {
        GgufHeader first = Add(Path, limits);
        Version = first.Version;
        Metadata = first.Metadata;
        IReadOnlyList<string> paths = SplitFile.Parts(Path, Metadata, limits);
        for (int number = 1; number < paths.Count; number++)
        {
            int found = Add(paths[number], limits).Metadata.GetInt32("split.no", 0, ushort.MaxValue);
            if (found != number)
            {
                throw new InvalidDataException($"{System.IO.Path.GetFileName(paths[number])} says it is part {found + 1}, expected part {number + 1}");
            }
        }

        if (paths.Count > 1 && Metadata.FindInt32("split.tensors.count") is { } expected && expected != tensors.Count)
        {
            throw new InvalidDataException($"the {paths.Count} parts hold {tensors.Count} tensors, expected {expected}");
        }
    }

    private GgufHeader Add(string path, GgufLimits limits)
    {
        MappedFile part = MappedFile.Open(path);
        parts.Add(part);
        FileLength += part.Length;
        GgufHeader header = ReadHeader(part, path, limits);
        foreach (GgufTensorInfo info in header.Tensors)
        {
            nint address = checked((nint)(part.Address + header.DataOffset + info.Offset));
            var tensor = new TensorView(info.Name, info.Type, info.Columns, info.Rows, info.Dimensions, address, info.ByteLength);
            if (!byName.TryAdd(info.Name, tensor))
            {
                throw new InvalidDataException($"tensor '{info.Name}' stands in two parts");
            }

            tensors.Add(tensor);
        }

        return header;
    }

    private static GgufHeader ReadHeader(MappedFile part, string path, GgufLimits limits)
    {
        try
        {
            return GgufReader.Read(part.Head(limits.HeaderBytes), part.Length, limits);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{System.IO.Path.GetFileName(path)}: {e.Message}", e);
        }
    }
}
