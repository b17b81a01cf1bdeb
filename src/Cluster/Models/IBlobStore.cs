using Microsoft.Win32.SafeHandles;

namespace Lamina.Cluster.Models;

/// <summary>Content-addressed blobs: a coordinator's model store, a node's cache.</summary>
public interface IBlobStore
{
    /// <summary>Opens a blob for reading, or returns null when it is not held. The caller disposes it.</summary>
    BlobReader? TryOpen(BlobDigest digest);
}

/// <summary>An open blob: a file, or a range of one (a tensor inside the imported GGUF file needs no copy). Reads are positional and thread-safe.</summary>
public sealed class BlobReader(SafeFileHandle file, long offset, long length) : IDisposable
{
    public long Length { get; } = length;

    /// <summary>Fills the buffer from <paramref name="position"/>. Throws <see cref="EndOfStreamException"/> when the file is shorter than the blob.</summary>
    public void ReadExactly(long position, Span<byte> buffer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Length - buffer.Length);
        while (!buffer.IsEmpty)
        {
            int read = RandomAccess.Read(file, buffer, offset + position);
            if (read == 0)
            {
                throw new EndOfStreamException($"the file ends {buffer.Length} bytes before the blob does");
            }

            buffer = buffer[read..];
            position += read;
        }
    }

    public void Dispose() => file.Dispose();
}
