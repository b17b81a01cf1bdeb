using System.Collections.Concurrent;
using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Node.Stages;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Node.Blobs;

/// <summary>
/// A stage's tensors mapped read-only from the cache. Each was hashed through its mapping, from the descriptor that was opened once, so what the kernels read is what the
/// manifest names; the files can neither be written nor shortened by this process' user without changing their mode first.
/// </summary>
internal sealed unsafe class VerifiedTensors : ITensorSource, IDisposable
{
    private readonly Dictionary<string, Mapping> _tensors = new(StringComparer.Ordinal);

    private VerifiedTensors()
    {
    }

    /// <exception cref="StageFault">Blobs are missing or their bytes are not what their names say; all of those are then gone from the cache, so that one more fetch brings them.</exception>
    public static VerifiedTensors Open(BlobCache cache, IReadOnlyCollection<ManifestTensor> tensors, int threads)
    {
        var opened = new VerifiedTensors();
        try
        {
            var faults = new ConcurrentQueue<StageFault>();
            foreach (ManifestTensor tensor in tensors)
            {
                Collect(faults, () => opened._tensors.Add(tensor.Name, Mapping.Open(cache, tensor)));
            }

            Parallel.ForEach(opened._tensors.Values, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) }, mapping => Collect(faults, () => mapping.Verify(cache)));
            return faults.TryPeek(out StageFault? fault)
                ? throw new StageFault(fault.Failure, faults.Count == 1 ? fault.Message : $"{fault.Message}, and {faults.Count - 1} more are damaged or missing", fault)
                : opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    private static void Collect(ConcurrentQueue<StageFault> faults, Action check)
    {
        try
        {
            check();
        }
        catch (StageFault fault)
        {
            faults.Enqueue(fault);
        }
    }

    public bool TryGet(string name, out TensorView tensor)
    {
        bool found = _tensors.TryGetValue(name, out Mapping? mapping);
        tensor = found ? mapping!.View : default;
        return found;
    }

    public void Release(in TensorView tensor) => FilePages.Release(tensor.Address, tensor.ByteLength);

    public void Dispose()
    {
        foreach (Mapping mapping in _tensors.Values)
        {
            mapping.Dispose();
        }

        _tensors.Clear();
    }

    private sealed class Mapping : IDisposable
    {
        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _accessor;
        private readonly BlobDigest _digest;

        private Mapping(ManifestTensor tensor, SafeFileHandle handle)
        {
            _digest = BlobDigest.Parse(tensor.Digest);
            _file = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            _accessor = _file.CreateViewAccessor(0, tensor.Bytes, MemoryMappedFileAccess.Read);
            byte* address = null;
            _accessor.SafeMemoryMappedViewHandle.AcquirePointer(ref address);
            long rows = tensor.Dimensions.Skip(1).Aggregate(1L, (product, d) => product * d);
            View = new TensorView(tensor.Name, tensor.Type, tensor.Dimensions[0], rows, tensor.Dimensions, (nint)address, tensor.Bytes);
        }

        public TensorView View { get; }

        public static Mapping Open(BlobCache cache, ManifestTensor tensor)
        {
            BlobDigest digest = BlobDigest.Parse(tensor.Digest);
            SafeFileHandle handle = OpenFile(cache, digest) ?? throw new StageFault(StageFailure.NotFound, $"tensor {tensor.Name} is not in the cache");
            if (RandomAccess.GetLength(handle) != tensor.Bytes)
            {
                handle.Dispose();
                cache.Remove(digest);
                throw new StageFault(StageFailure.Corrupt, $"tensor {tensor.Name} in the cache has another length than the manifest says");
            }

            return new Mapping(tensor, handle);
        }

        private static SafeFileHandle? OpenFile(BlobCache cache, BlobDigest digest)
        {
            try
            {
                return cache.TryOpenFile(digest);
            }
            catch (UnexpectedFileException e)
            {
                throw new StageFault(StageFailure.Corrupt, e.Message, e);
            }
        }

        public void Verify(BlobCache cache)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            const int Part = 1 << 22;
            for (long offset = 0; offset < View.ByteLength; offset += Part)
            {
                hash.AppendData(new ReadOnlySpan<byte>((byte*)View.Address + offset, (int)Math.Min(Part, View.ByteLength - offset)));
            }

            // What is packed first is read again soon, what comes last long after: the file's cache keeps it, not this process.
            FilePages.Release(View.Address, View.ByteLength);
            if (BlobDigest.FromHash(hash.GetHashAndReset()) != _digest)
            {
                cache.Remove(_digest);
                throw new StageFault(StageFailure.Corrupt, $"tensor {View.Name} in the cache has another hash than the manifest says");
            }
        }

        public void Dispose()
        {
            _accessor.SafeMemoryMappedViewHandle.ReleasePointer();
            _accessor.Dispose();
            _file.Dispose();
        }
    }
}
