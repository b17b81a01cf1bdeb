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
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _root;
    private readonly string _tenant;
    private readonly ModelImportOptions _options;
    private readonly Action<string> _note;
    private readonly SemaphoreSlim _importing = new(1);
    private readonly ConcurrentDictionary<BlobDigest, (string Path, long Offset, long Length)> _blobs = new();
    private readonly IReadOnlyList<ECDsa> _trustedKeys;

    private ModelStore(string root, string tenant, ModelImportOptions options, Action<string> note)
    {
        _root = root;
        _tenant = tenant;
        _options = options;
        _note = note;
        _trustedKeys = [.. options.SigningKeys.Select(ManifestSignature.ReadKey)];
    }

    /// <summary>Creates the folder when it does not exist, for its owner alone.</summary>
    /// <param name="tenant">Named in refusals.</param>
    /// <param name="note">Takes sentences for the log.</param>
    public static ModelStore Open(string root, ModelImportOptions? options = null, string tenant = "local", Action<string>? note = null)
    {
        var store = new ModelStore(Path.GetFullPath(root), tenant, options ?? new ModelImportOptions(), note ?? (_ => { }));
        foreach (string folder in (string[])["", "files", "blobs", "imports", "names", "signatures"])
        {
            _ = OperatingSystem.IsWindows()
                ? Directory.CreateDirectory(Path.Combine(store._root, folder))
                : Directory.CreateDirectory(Path.Combine(store._root, folder), OwnerOnly);
        }

        return store;
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

    public void Dispose()
    {
        _importing.Dispose();
        foreach (ECDsa key in _trustedKeys)
        {
            key.Dispose();
        }
    }

    /// <summary>Takes a stored model up without hashing it; null when the store no longer holds it as it was.</summary>
    private StoredModel? Reopen(string modelDigest, int partCount)
    {
        try
        {
            BlobDigest digest = BlobDigest.Parse(modelDigest);
            byte[] manifestBytes = File.ReadAllBytes(BlobPath(digest));
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

    private void WriteBlob(BlobDigest digest, byte[] content) => WriteWhole(BlobPath(digest), content);

    private static void WriteWhole(string path, byte[] content)
    {
        string partial = path + ".partial";
        File.WriteAllBytes(partial, content);
        File.Move(partial, path, overwrite: true);
    }

    private string BlobPath(BlobDigest digest) => Path.Combine(_root, "blobs", digest.ToString());

    private string PartPath(BlobDigest digest, int part) => Path.Combine(_root, "files", $"{digest}-{part}.gguf");
}
