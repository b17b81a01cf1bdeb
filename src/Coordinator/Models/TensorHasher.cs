using System.Security.Cryptography;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>Hashes the tensors of a model's files in parallel, by positional reads.</summary>
internal static class TensorHasher
{
    private const int BufferBytes = 1 << 20;

    /// <summary>Manifest entries in file order.</summary>
    public static IReadOnlyList<ManifestTensor> Hash(IReadOnlyList<GgufPart> parts, Action<long, long>? progress, CancellationToken cancellation)
    {
        (GgufPart Part, GgufTensorInfo Info)[] tensors = [.. parts.SelectMany(part => part.Header.Tensors.Select(info => (part, info)))];
        var entries = new ManifestTensor[tensors.Length];
        long total = tensors.Sum(tensor => tensor.Info.ByteLength);
        long done = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = Math.Min(8, Environment.ProcessorCount), CancellationToken = cancellation };
        try
        {
            Parallel.ForEach(tensors.Select((tensor, i) => (tensor, i)), options, item =>
            {
                ((GgufPart part, GgufTensorInfo info), int i) = item;
                BlobDigest digest = HashRange(part.Handle, part.OffsetOf(info), info.ByteLength, cancellation, read =>
                    progress?.Invoke(Interlocked.Add(ref done, read), total));
                entries[i] = new ManifestTensor(info.Name, info.Type, info.Dimensions, info.ByteLength, digest.ToString());
            });
        }
        catch (AggregateException e) when (e.InnerExceptions[0] is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw e.InnerExceptions[0];
        }

        return entries;
    }

    private static BlobDigest HashRange(SafeFileHandle file, long offset, long length, CancellationToken cancellation, Action<int> progress)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[(int)Math.Min(BufferBytes, length)];
        while (length > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            int read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, length)), offset);
            if (read == 0)
            {
                throw new EndOfStreamException($"the file was cut short while it was read: {length} bytes of a tensor are missing");
            }

            hash.AppendData(buffer, 0, read);
            offset += read;
            length -= read;
            progress(read);
        }

        return BlobDigest.FromHash(hash.GetHashAndReset());
    }
}
