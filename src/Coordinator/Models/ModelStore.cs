using System.Collections.Concurrent;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;

namespace Lamina.Coordinator.Models;

/// <summary>
/// One cell's models by content: manifests and headers as small files, tensors as ranges of the imported GGUF files, which stay in the store as hard links or copies.
/// Nothing here is trusted on its way out: a node compares each blob with its digest, so a file that was changed under the store is noticed at the next load.
/// <code>
/// files/NAME-0.gguf       parts of an imported model; NAME is the manifest's digest
/// blobs/sha256-...        manifests and headers
/// imports/...json         which source file (path, length, time) gave which manifest
/// </code>
/// </summary>
public sealed class ModelStore : IBlobStore, IDisposable
{
    private readonly string _root;
    private readonly SemaphoreSlim _importing = new(1);
    private readonly ConcurrentDictionary<BlobDigest, (string Path, long Offset, long Length)> _blobs = new();

    private ModelStore(string root) => _root = root;

    /// <summary>Creates the folder when it does not exist.</summary>
    public static ModelStore Open(string root)
    {
        var store = new ModelStore(Path.GetFullPath(root));
        foreach (string folder in (string[])["files", "blobs", "imports"])
        {
            Directory.CreateDirectory(Path.Combine(store._root, folder));
        }

        return store;
    }

    /// <summary>
    /// Imports a GGUF model, given by its (first) file: validates it, hashes every tensor, writes manifest and header. A source that was imported before and is
    /// unchanged by path, length and time is taken from the store.
    /// </summary>
    /// <param name="progress">Called with (bytes hashed, bytes in all), from several threads.</param>
    public async Task<StoredModel> ImportAsync(string path, Action<long, long>? progress, CancellationToken cancellation)
    {
        await _importing.WaitAsync(cancellation);
        try
        {
            return await Task.Run(() => Import(Path.GetFullPath(path), progress, cancellation), cancellation);
        }
        finally
        {
            _importing.Release();
        }
    }

    public BlobReader? TryOpen(BlobDigest digest)
    {
        if (!_blobs.TryGetValue(digest, out (string Path, long Offset, long Length) blob))
        {
            return null;
        }

        try
        {
            return new BlobReader(File.OpenHandle(blob.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete), blob.Offset, blob.Length);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    public void Dispose() => _importing.Dispose();

    private StoredModel Import(string path, Action<long, long>? progress, CancellationToken cancellation)
    {
        ImportRecord source = ImportRecord.Of(path);
        string recordPath = Path.Combine(_root, "imports", source.FileName);
        if (ImportRecord.TryRead(recordPath) is { } known && known.IsSameSource(source) && Reopen(known) is { } stored)
        {
            progress?.Invoke(stored.TotalBytes, stored.TotalBytes);
            return stored;
        }

        IReadOnlyList<GgufPart> parts = GgufPart.OpenAll(path);
        try
        {
            byte[] header = GgufHeaders.WithoutTokenizer(parts[0].Header.Metadata);
            byte[] vocabulary = GgufHeaders.TokenizerAlone(parts[0].Header.Metadata);
            BlobDigest headerDigest = BlobDigest.Of(header);
            BlobDigest vocabularyDigest = BlobDigest.Of(vocabulary);
            var manifest = new ModelManifest(
                ModelManifest.CurrentVersion,
                new ManifestBlob(headerDigest.ToString(), header.Length),
                new ManifestBlob(vocabularyDigest.ToString(), vocabulary.Length),
                TensorHasher.Hash(parts, progress, cancellation));
            byte[] manifestBytes = manifest.ToBytes();
            BlobDigest digest = BlobDigest.Of(manifestBytes);
            WriteBlob(headerDigest, header);
            WriteBlob(vocabularyDigest, vocabulary);
            WriteBlob(digest, manifestBytes);
            for (int i = 0; i < parts.Count; i++)
            {
                FileLink.LinkOrCopy(parts[i].Path, PartPath(digest, i));
            }

            (source with { Digest = digest.ToString(), Parts = parts.Count }).Write(recordPath);
            Register(digest, manifest, parts);
            return new StoredModel(digest, manifest, parts[0].Header.Metadata);
        }
        finally
        {
            foreach (GgufPart part in parts)
            {
                part.Dispose();
            }
        }
    }

    /// <summary>Takes a model up again without hashing it; null when the store no longer holds it as it was.</summary>
    private StoredModel? Reopen(ImportRecord record)
    {
        try
        {
            BlobDigest digest = BlobDigest.Parse(record.Digest);
            byte[] manifestBytes = File.ReadAllBytes(BlobPath(digest));
            ModelManifest manifest = ModelManifest.Parse(manifestBytes);
            if (BlobDigest.Of(manifestBytes) != digest || !IsWhole(manifest.Header) || !IsWhole(manifest.Vocabulary))
            {
                return null;
            }

            var parts = new List<GgufPart>();
            try
            {
                for (int i = 0; i < record.Parts; i++)
                {
                    parts.Add(GgufPart.OpenSingle(PartPath(digest, i)));
                }

                bool same = parts.SelectMany(part => part.Header.Tensors).Select(tensor => (tensor.Name, tensor.Type, tensor.ByteLength))
                    .SequenceEqual(manifest.Tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.Bytes)));
                if (!same)
                {
                    return null;
                }

                Register(digest, manifest, parts);
                return new StoredModel(digest, manifest, parts[0].Header.Metadata);
            }
            finally
            {
                parts.ForEach(part => part.Dispose());
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private bool IsWhole(ManifestBlob blob)
    {
        BlobDigest digest = BlobDigest.Parse(blob.Digest);
        return BlobDigest.Of(File.ReadAllBytes(BlobPath(digest))) == digest;
    }

    private void Register(BlobDigest digest, ModelManifest manifest, IReadOnlyList<GgufPart> parts)
    {
        Add(digest, (BlobPath(digest), 0, new FileInfo(BlobPath(digest)).Length));
        foreach (ManifestBlob blob in new[] { manifest.Header, manifest.Vocabulary })
        {
            BlobDigest small = BlobDigest.Parse(blob.Digest);
            Add(small, (BlobPath(small), 0, blob.Bytes));
        }

        int next = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            foreach (GgufTensorInfo tensor in parts[i].Header.Tensors)
            {
                Add(BlobDigest.Parse(manifest.Tensors[next++].Digest), (PartPath(digest, i), parts[i].OffsetOf(tensor), tensor.ByteLength));
            }
        }
    }

    private void Add(BlobDigest digest, (string Path, long Offset, long Length) place) => _blobs[digest] = place;

    private void WriteBlob(BlobDigest digest, byte[] content)
    {
        string path = BlobPath(digest);
        string partial = path + ".partial";
        File.WriteAllBytes(partial, content);
        File.Move(partial, path, overwrite: true);
    }

    private string BlobPath(BlobDigest digest) => Path.Combine(_root, "blobs", digest.ToString());

    private string PartPath(BlobDigest digest, int part) => Path.Combine(_root, "files", $"{digest}-{part}.gguf");
}
