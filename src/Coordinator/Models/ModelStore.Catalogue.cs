using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Trust;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

public sealed partial class ModelStore
{
    /// <summary>A configured path that begins so names a model of the store.</summary>
    public const string StorePrefix = "store:";

    /// <summary>File name ending of a signature beside a model file.</summary>
    public const string SignatureSuffix = ".sig";

    private const string NameSuffix = ".json";

    /// <summary>Models added by name, in the order of their names.</summary>
    public IReadOnlyList<CatalogueEntry> List() =>
        [.. _names.Names("*.json").Select(name => UnlessPlanted(() => CatalogueEntry.TryRead(_names, name))).OfType<CatalogueEntry>()];

    /// <summary>Imports a model file and gives it a name of its own in this store, where it stays until it is removed.</summary>
    /// <param name="source">Where it came from, for the list.</param>
    /// <param name="partsPinned">Whether every part had the hash that it was fetched with.</param>
    public async Task<CatalogueEntry> AddAsync(string name, string path, string source, string? sha256, bool partsPinned, Action<long, long>? progress, CancellationToken cancellation)
    {
        RequireName(name);
        if (Find(name) is not null)
        {
            throw new InvalidOperationException($"the store holds a model named {name} already; remove it first");
        }

        using var intake = new PartIntake(_files, _options, _tenant, _note);
        await intake.TakeAllAsync(path, sha256, cancellation);
        var record = new ImportRecord(path, 0, default, "", 0, intake.FileSha256);
        StoredModel model = Import(intake, record, new ModelEvidence(sha256, SignatureBeside(path), partsPinned), recorded: false, progress, cancellation);
        var entry = new CatalogueEntry(name, model.Digest.ToString(), intake.Parts.Count, intake.Parts.Sum(part => part.Length), source, sha256 ?? (partsPinned ? model.Digest.ToString()["sha256-".Length..] : null), DateTime.UtcNow);
        _names.Write(name + NameSuffix, entry.ToBytes());
        return entry;
    }

    /// <summary>A folder beside the store's files, for what is on its way in; whoever asks deletes it.</summary>
    public string CreateFolder()
    {
        StoreFolder folder = _files.Within($"incoming-{Guid.NewGuid():N}");
        folder.Create();
        return folder.FullPath;
    }

    /// <summary>The level of a model in this store, whatever the policy says about it.</summary>
    public ModelTrust TrustOf(CatalogueEntry entry) =>
        TrustDecision.LevelOf(BlobDigest.Parse(entry.Digest), entry.Sha256, new ModelEvidence(entry.Sha256, SignaturesOf(BlobDigest.Parse(entry.Digest))), _trustedKeys);

    /// <summary>Reads every byte of a model again. Null when all are as its digest says, else what is not.</summary>
    public string? Verify(string name, CancellationToken cancellation)
    {
        CatalogueEntry entry = Require(name);
        if (Reopen(entry.Digest, entry.Parts, out string? damage) is not { } model)
        {
            return damage ?? "its manifest, header or table of tensors is not what was stored";
        }

        var parts = new List<GgufPart>();
        try
        {
            for (int i = 0; i < entry.Parts; i++)
            {
                parts.Add(OpenPart(model.Digest, i));
            }

            return TensorHasher.Hash(parts, progress: null, cancellation).Zip(model.Manifest.Tensors).FirstOrDefault(pair => pair.First.Digest != pair.Second.Digest) is { First: { } damaged }
                ? $"tensor {damaged.Name} has another hash than the manifest says"
                : null;
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            return e.Message;
        }
        finally
        {
            parts.ForEach(part => part.Dispose());
        }
    }

    /// <summary>Forgets a name; the bytes go when nothing else in the store needs them.</summary>
    public void Remove(string name)
    {
        CatalogueEntry entry = Require(name);
        _names.Delete(name + NameSuffix);
        string[] needed = [.. List().Select(other => other.Digest), .. _imports.Names("*.json").Select(record => ImportRecord.TryRead(_imports, record)?.Digest ?? "")];
        if (needed.Contains(entry.Digest))
        {
            return;
        }

        HashSet<string> blobs = [.. needed.SelectMany(SmallBlobs)];
        foreach (string blob in SmallBlobs(entry.Digest).Where(blob => !blobs.Contains(blob)).ToArray())
        {
            _small.Delete(blob);
        }

        Array.ForEach(_files.Names($"{entry.Digest}-*.gguf"), _files.Delete);
        Array.ForEach(_signatures.Names($"{entry.Digest}.*.json"), _signatures.Delete);
    }

    /// <summary>Signs a model of this store.</summary>
    public ManifestSignature Sign(string name, ECDsa key)
    {
        ManifestSignature signature = ManifestSignature.Sign(BlobDigest.Parse(Require(name).Digest), key);
        Keep([signature]);
        return signature;
    }

    private StoredModel OpenNamed(string name, string? sha256, Action<long, long>? progress)
    {
        CatalogueEntry entry = Require(name);
        StoredModel model = Reopen(entry.Digest, entry.Parts, out string? damage) ?? throw new InvalidDataException($"model {name} of the store is damaged{(damage is null ? "" : ": " + damage)}; 'lamina model verify' says where");
        progress?.Invoke(model.TotalBytes, model.TotalBytes);
        return Judged(model, entry.Sha256, new ModelEvidence(sha256 ?? entry.Sha256, []));
    }

    private CatalogueEntry? Find(string name)
    {
        RequireName(name);
        return CatalogueEntry.TryRead(_names, name + NameSuffix) is { } entry && entry.Name == name && BlobDigest.TryParse(entry.Digest, out _) && entry.Parts is > 0 and <= 1024 ? entry : null;
    }

    private CatalogueEntry Require(string name) => Find(name) ?? throw new InvalidOperationException($"the store holds no model named {name}");

    private static void RequireName(string name)
    {
        if (!Names.IsValidModel(name))
        {
            throw new ArgumentException("a model's name has 1 to 128 letters, digits, dots, underscores and inner hyphens");
        }
    }

    private IEnumerable<string> SmallBlobs(string digest)
    {
        if (!BlobDigest.TryParse(digest, out BlobDigest parsed) || !_small.Holds(digest))
        {
            return [];
        }

        ModelManifest manifest = ModelManifest.Parse(ReadBlob(parsed));
        return [digest, manifest.Header.Digest, manifest.Vocabulary.Digest];
    }

    /// <summary>Who signed an entry, and what that is worth by this store's keys.</summary>
    public IReadOnlyList<(string KeyId, SignatureState State)> SignersOf(CatalogueEntry entry)
    {
        BlobDigest digest = BlobDigest.Parse(entry.Digest);
        return [.. SignaturesOf(digest).Select(signature => (signature.KeyId, TrustDecision.StateOf(signature, digest, _trustedKeys)))];
    }

    /// <summary>Who signed a file that lies outside any store, in the signature beside it, and what that is worth by these keys.</summary>
    public static IReadOnlyList<(string KeyId, SignatureState State)> SignersOf(string path, BlobDigest digest, IReadOnlyList<ECDsa> trustedKeys) =>
        [.. SignatureBeside(path).Select(signature => (signature.KeyId, TrustDecision.StateOf(signature, digest, trustedKeys)))];

    private static IReadOnlyList<ManifestSignature> SignatureBeside(string path) =>
        File.Exists(path + SignatureSuffix) ? [ReadSignature(GgufPart.OpenFile(path + SignatureSuffix))] : [];

    private ManifestSignature[] SignaturesOf(BlobDigest digest) =>
        [.. _signatures.Names($"{digest}.*.json").Select(name => UnlessPlanted(() => ReadSignature(_signatures.OpenRead(name)))).OfType<ManifestSignature>()];

    private static ManifestSignature ReadSignature(SafeFileHandle handle)
    {
        using var file = new FileStream(handle, FileAccess.Read);
        byte[] bytes = new byte[Math.Min(file.Length, ManifestSignature.MaxBytes + 1)];
        file.ReadExactly(bytes);
        return ManifestSignature.Parse(bytes);
    }

    private void Keep(IEnumerable<ManifestSignature> signatures)
    {
        foreach (ManifestSignature signature in signatures)
        {
            if (BlobDigest.TryParse(signature.Digest, out BlobDigest digest) && signature.KeyId.Length == 16 && signature.KeyId.All(char.IsAsciiHexDigitLower))
            {
                _signatures.Write($"{digest}.{signature.KeyId}.json", signature.ToBytes());
            }
        }
    }

    /// <summary>What was read, or null and a note where a link or a pipe was planted: it counts for nothing, and spoils nothing beside it.</summary>
    private T? UnlessPlanted<T>(Func<T?> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (UnexpectedFileException e)
        {
            _note(e.Message);
            return null;
        }
    }
}
