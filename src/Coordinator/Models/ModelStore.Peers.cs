using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Trust;

namespace Lamina.Coordinator.Models;

/// <summary>What coordinators of a cell share of a model beside its tensors.</summary>
public sealed partial class ModelStore
{
    /// <summary>Most bytes of a model's metadata: vocabulary, merges and templates.</summary>
    public const int MaxMetadataBytes = 128 << 20;

    /// <summary>Offers the file's whole metadata as a blob, so that another coordinator can serve callers without the file.</summary>
    public BlobDigest OfferMetadata(StoredModel model)
    {
        byte[] bytes = GgufWriter.ToBytes(model.Metadata, []);
        BlobDigest digest = BlobDigest.Of(bytes);
        Keep(digest, bytes);
        return digest;
    }

    /// <summary>Judges a model, or an adapter, that another coordinator imported, by this one's policy and keys.</summary>
    /// <param name="own">The SHA-256 that this coordinator's operator named for it; null = none.</param>
    /// <exception cref="ModelRefusedException">The cell's policy forbids it here, or it has another hash.</exception>
    public ModelTrust Judge(BlobDigest digest, OfferedEvidence? offered, string? own) => Level(digest, offered?.Sha256, WithKept(digest, ModelEvidence.Of(offered, digest, own)));

    /// <summary>Takes up a model that another coordinator imported, once it is judged: manifest and metadata, both verified; tensors stay where they are.</summary>
    public StoredModel Adopt(BlobDigest digest, byte[] manifestBytes, BlobDigest metadataDigest, byte[] metadataBytes, OfferedEvidence? offered, string? own)
    {
        ModelTrust level = Judge(digest, offered, own);
        if (BlobDigest.Of(manifestBytes) != digest || BlobDigest.Of(metadataBytes) != metadataDigest)
        {
            throw new InvalidDataException($"manifest or metadata of {digest} do not have the digests that name them");
        }

        ModelManifest manifest = ModelManifest.Parse(manifestBytes);
        GgufMetadata metadata = GgufReader.ReadMetadata(metadataBytes);
        Keep(digest, manifestBytes);
        Keep(metadataDigest, metadataBytes);
        return new StoredModel(digest, manifest, metadata) { Trust = level, Evidence = ModelEvidence.Of(offered, digest, own) };
    }

    private void Keep(BlobDigest digest, byte[] bytes)
    {
        WriteBlob(digest, bytes);
        Add(digest, (_small, digest.ToString(), 0, bytes.Length));
    }
}
