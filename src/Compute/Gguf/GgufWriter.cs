using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Compute.Gguf;

/// <summary>
/// Writes a GGUF 3 file: the header at once, then tensor data in any order and from any thread. What is never written reads as zeros.
/// </summary>
public sealed class GgufWriter : IDisposable
{
    private readonly SafeFileHandle file;
    private readonly long dataOffset;

    private GgufWriter(SafeFileHandle file, IReadOnlyList<GgufTensorInfo> tensors, long dataOffset, long length)
    {
        this.file = file;
        this.dataOffset = dataOffset;
        Tensors = tensors;
        Length = length;
    }

    /// <summary>The tensors with their offsets filled in.</summary>
    public IReadOnlyList<GgufTensorInfo> Tensors { get; }

    /// <summary>Bytes of the whole file.</summary>
    public long Length { get; }

    /// <summary>Creates or replaces the file and writes its header. Offsets given in <paramref name="tensors"/> are ignored: data stands in the order of the list.</summary>
    public static GgufWriter Create(string path, GgufMetadata metadata, IReadOnlyList<GgufTensorInfo> tensors)
    {
        (byte[] header, IReadOnlyList<GgufTensorInfo> placed, long length) = Layout(metadata, tensors);
        SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.None, length);
        try
        {
            RandomAccess.SetLength(file, length);
            RandomAccess.Write(file, header, 0);
            return new GgufWriter(file, placed, header.Length, length);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A whole small file in memory.</summary>
    public static byte[] ToBytes(GgufMetadata metadata, IReadOnlyList<(GgufTensorInfo Info, byte[] Data)> tensors)
    {
        (byte[] header, IReadOnlyList<GgufTensorInfo> placed, long length) = Layout(metadata, tensors.Select(tensor => tensor.Info).ToArray());
        var file = new byte[length];
        header.CopyTo(file, 0);
        for (int i = 0; i < placed.Count; i++)
        {
            byte[] data = tensors[i].Data;
            if (data.Length != placed[i].ByteLength)
            {
                throw new ArgumentException($"tensor '{placed[i].Name}' takes {placed[i].ByteLength} bytes, {data.Length} were given");
            }

            data.CopyTo(file, header.Length + placed[i].Offset);
        }

        return file;
    }

    /// <summary>Writes part of a tensor's data, starting <paramref name="offset"/> bytes into it. Thread-safe for different parts.</summary>
    public void Write(int tensor, long offset, ReadOnlySpan<byte> data)
    {
        GgufTensorInfo info = Tensors[tensor];
        if (offset < 0 || offset > info.ByteLength - data.Length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"bytes {offset} to {offset + data.Length} lie outside tensor '{info.Name}' of {info.ByteLength}");
        }

        RandomAccess.Write(file, data, dataOffset + info.Offset + offset);
    }

    public void Dispose() => file.Dispose();

    private static (byte[] Header, IReadOnlyList<GgufTensorInfo> Placed, long Length) Layout(GgufMetadata metadata, IReadOnlyList<GgufTensorInfo> tensors)
    {
        int alignment = GgufReader.Alignment(metadata, GgufLimits.Default);
        var placed = new List<GgufTensorInfo>(tensors.Count);
        long offset = 0;
        foreach (GgufTensorInfo tensor in tensors)
        {
            GgmlTensorSize.Check(tensor.Name, tensor.Type, tensor.Dimensions.ToArray());
            placed.Add(tensor with { Offset = offset });
            offset = checked(offset + Padded(tensor.ByteLength, alignment));
        }

        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)placed.Count);
        writer.Write((ulong)metadata.Pairs.Count);
        foreach ((string key, GgufValue value) in metadata.Pairs)
        {
            WriteString(writer, Encoding.UTF8.GetBytes(key));
            WriteValue(writer, value);
        }

        foreach (GgufTensorInfo tensor in placed)
        {
            WriteString(writer, Encoding.UTF8.GetBytes(tensor.Name));
            writer.Write((uint)tensor.Dimensions.Count);
            foreach (long extent in tensor.Dimensions)
            {
                writer.Write((ulong)extent);
            }

            writer.Write((uint)tensor.Type);
            writer.Write((ulong)tensor.Offset);
        }

        stream.SetLength(Padded(stream.Length, alignment));
        return (stream.ToArray(), placed, checked(stream.Length + offset));
    }

    private static void WriteValue(BinaryWriter writer, GgufValue value)
    {
        writer.Write((uint)value.Type);
        if (value.IsArray)
        {
            writer.Write((uint)value.ElementType);
            writer.Write((ulong)value.Count);
            writer.Write(value.Raw.Span);
        }
        else if (value.Type == GgufValueType.String)
        {
            WriteString(writer, value.Raw.Span);
        }
        else
        {
            writer.Write(value.Raw.Span);
        }
    }

    private static void WriteString(BinaryWriter writer, ReadOnlySpan<byte> utf8)
    {
        writer.Write((ulong)utf8.Length);
        writer.Write(utf8);
    }

    private static long Padded(long length, int alignment) => checked(length + alignment - 1) / alignment * alignment;
}
