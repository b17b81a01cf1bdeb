using System.Collections.Concurrent;
using System.Security.Cryptography;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Trust;

namespace Lamina.Coordinator.Models;

/// <summary>
/// One cell's models by content: manifests and headers as small files, tensors as ranges of the imported GGUF files, of which the store keeps its own read-only copies
/// (or, where the cell says so, hard links). Nothing here is trusted on its way out: a node compares each blob with its digest, so a file that was changed under the store
/// is noticed at the next load.
/// <code>
/// files/NAME-0.gguf       parts of an imported model; NAME is the manifest's digest
/// blobs/sha256-...        manifests and headers
/// signatures/NAME.ID.json who vouches for a model; ID is the key's
/// names/NAME.json         models added by name
/// imports/...json         which source file (path, length, time) gave which manifest
/// </code>
/// </summary>
public sealed partial class ModelStore : IBlobStore, IDisposable
{
    private readonly StoreFolder _files;
    private readonly StoreFolder _small;
    private readonly StoreFolder _imports;
    private readonly StoreFolder _names;
    private readonly StoreFolder _signatures;
    private readonly string _tenant;
    private readonly ModelImportOptions _options;
    private readonly Action<string> _note;
    private readonly SemaphoreSlim _importing = new(1);
    private readonly ConcurrentDictionary<BlobDigest, (StoreFolder Folder, string Name, long Offset, long Length)> _blobs = new();
    private readonly IReadOnlyList<ECDsa> _trustedKeys;

    private ModelStore(StoreFolder root, string tenant, ModelImportOptions options, Action<string> note)
    {
        (_files, _small, _imports, _names, _signatures) = (root.Within("files"), root.Within("blobs"), root.Within("imports"), root.Within("names"), root.Within("signatures"));
        _tenant = tenant;
        _options = options;
        _note = note;
        _trustedKeys = [.. options.SigningKeys.Select(ManifestSignature.ReadKey)];
    }

    /// <summary>
    /// Creates the folder when it does not exist, for its owner alone. Throws <see cref="UnexpectedFileException"/> when one of its own folders is a symbolic link or no folder; the root may be a link.
    /// </summary>
    /// <param name="tenant">Named in refusals.</param>
    /// <param name="note">Takes sentences for the log.</param>
    public static ModelStore Open(string root, ModelImportOptions? options = null, string tenant = "local", Action<string>? note = null)
    {
        var store = new ModelStore(new StoreFolder(root), tenant, options ?? new ModelImportOptions(), note ?? (_ => { }));
        foreach (StoreFolder folder in (StoreFolder[])[store._files, store._small, store._imports, store._names, store._signatures])
        {
            folder.Create();
        }

        return store;
    }

    public BlobReader? TryOpen(BlobDigest digest)
    {
        if (!_blobs.TryGetValue(digest, out (StoreFolder Folder, string Name, long Offset, long Length) blob))
        {
            return null;
        }

        try
        {
            return new BlobReader(blob.Folder.OpenRead(blob.Name), blob.Offset, blob.Length);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (UnexpectedFileException e)
        {
            // Whoever asks need not know where the store lies.
            _note(e.Message);
            return null;
        }
    }

    public void Dispose()
    {
        _importing.Dispose();
        foreach (ECDsa key in _trustedKeys)
        {
            key.Dispose();
        }
    }

    /// <summary>Takes a stored model up without hashing it; null when the store no longer holds it as it was.</summary>
    /// <param name="damage">One sentence, where there is more to say than that.</param>
    private StoredModel? Reopen(string modelDigest, int partCount, out string? damage)
    {
        damage = null;
        try
        {
            BlobDigest digest = BlobDigest.Parse(modelDigest);
            byte[] manifestBytes = ReadBlob(digest);
            ModelManifest manifest = ModelManifest.Parse(manifestBytes);
            if (BlobDigest.Of(manifestBytes) != digest || !IsWhole(manifest.Header) || !IsWhole(manifest.Vocabulary))
            {
                return null;
            }

            var parts = new List<GgufPart>();
            try
            {
                for (int i = 0; i < partCount; i++)
                {
                    parts.Add(OpenPart(digest, i));
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
        catch (UnexpectedFileException e)
        {
            damage = e.Message;
            _note(e.Message);
            return null;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private bool IsWhole(ManifestBlob blob)
    {
        BlobDigest digest = BlobDigest.Parse(blob.Digest);
        return BlobDigest.Of(ReadBlob(digest)) == digest;
    }

    private void Register(BlobDigest digest, ModelManifest manifest, IReadOnlyList<GgufPart> parts)
    {
        Add(digest, (_small, digest.ToString(), 0, _small.LengthOf(digest.ToString()) ?? 0));
        foreach (ManifestBlob blob in new[] { manifest.Header, manifest.Vocabulary })
        {
            BlobDigest small = BlobDigest.Parse(blob.Digest);
            Add(small, (_small, small.ToString(), 0, blob.Bytes));
        }

        int next = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            foreach (GgufTensorInfo tensor in parts[i].Header.Tensors)
            {
                Add(BlobDigest.Parse(manifest.Tensors[next++].Digest), (_files, PartName(digest, i), parts[i].OffsetOf(tensor), tensor.ByteLength));
            }
        }
    }

    private void Add(BlobDigest digest, (StoreFolder Folder, string Name, long Offset, long Length) place) => _blobs[digest] = place;

    private void WriteBlob(BlobDigest digest, byte[] content) => _small.Write(digest.ToString(), content);

    private byte[] ReadBlob(BlobDigest digest) => _small.ReadAll(digest.ToString(), int.MaxValue);

    private GgufPart OpenPart(BlobDigest digest, int part) => GgufPart.Read(_files.PathOf(PartName(digest, part)), _files.OpenRead(PartName(digest, part)));

    private static string PartName(BlobDigest digest, int part) => $"{digest}-{part}.gguf";
}
