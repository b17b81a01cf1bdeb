using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Models.Trust;

/// <summary>What speaks for a model: the hash that the operator named, and signatures.</summary>
/// <param name="Sha256">64 hexadecimal digits: of the model's one file, or of its digest; null when none was named.</param>
/// <param name="PartsPinned">Every part was fetched with a hash of its own, and had it.</param>
public sealed record ModelEvidence(string? Sha256, IReadOnlyList<ManifestSignature> Signatures, bool PartsPinned = false)
{
    /// <summary>Most signatures that are taken from another coordinator.</summary>
    public const int MaxSignatures = 16;

    public static ModelEvidence None { get; } = new(null, []);

    /// <param name="own">The hash that this coordinator's operator named; the other one's counts where there is none.</param>
    public static ModelEvidence Of(OfferedEvidence? offered, BlobDigest digest, string? own) => new(
        own ?? offered?.Sha256, [.. (offered?.Signatures ?? []).Take(MaxSignatures).Select(s => new ManifestSignature(s.Algorithm, digest.ToString(), s.KeyId, s.Value))]);

    public OfferedEvidence ToOffer(BlobDigest digest) => new(
        Sha256 ?? (PartsPinned ? digest.ToString()["sha256-".Length..] : null),
        [.. Signatures.Where(s => s.Digest == digest.ToString()).DistinctBy(s => s.Value).Take(MaxSignatures).Select(s => new OfferedSignature(s.Algorithm, s.KeyId, s.Value))]);
}

/// <summary>Levels and refusals, as functions of evidence and policy.</summary>
public static class TrustDecision
{
    /// <param name="fileSha256">Hash of the model's one file, where the evidence asks for it and it was computed.</param>
    /// <exception cref="ModelRefusedException">The hash that was named is another one: the model is not what was meant.</exception>
    public static ModelTrust LevelOf(BlobDigest digest, string? fileSha256, ModelEvidence evidence, IReadOnlyList<ECDsa> trustedKeys)
    {
        bool pinned = evidence.Sha256 is not null;
        if (pinned && evidence.Sha256 != digest.ToString()["sha256-".Length..] && evidence.Sha256 != fileSha256)
        {
            throw new ModelRefusedException($"the model's SHA-256 is {fileSha256 ?? digest.ToString()["sha256-".Length..]}, expected {evidence.Sha256}");
        }

        bool signed = trustedKeys.Any(key => evidence.Signatures.Any(signature => signature.IsValid(digest, key)));
        return signed ? ModelTrust.Trusted : pinned || evidence.PartsPinned ? ModelTrust.Verified : ModelTrust.Untrusted;
    }

    /// <summary>What one signature is worth to whoever trusts these keys.</summary>
    public static SignatureState StateOf(ManifestSignature signature, BlobDigest digest, IReadOnlyList<ECDsa> trustedKeys) =>
        trustedKeys.Any(key => signature.IsValid(digest, key)) ? SignatureState.Valid
        : signature.Digest != digest.ToString() || trustedKeys.Any(key => ManifestSignature.KeyIdOf(key) == signature.KeyId) ? SignatureState.Bad
        : SignatureState.UnknownKey;

    /// <summary>Null when a cell with this policy runs such a model, else the sentence.</summary>
    public static string? Refuse(ModelTrust level, ModelTrust least, string tenant) => level >= least ? null :
        $"the model is {Name(level)}, and cell {tenant} runs only {Name(least)} ones: "
        + (least == ModelTrust.Trusted ? "sign it with a key that Import:SigningKeys names" : "name its SHA-256, or sign it with a key that Import:SigningKeys names");

    /// <summary>The best level that the evidence can reach, before a byte of the model was read.</summary>
    public static ModelTrust Best(ModelEvidence evidence, int trustedKeys) =>
        evidence.Signatures.Count > 0 && trustedKeys > 0 ? ModelTrust.Trusted : evidence.Sha256 is not null || evidence.PartsPinned ? ModelTrust.Verified : ModelTrust.Untrusted;

    private static string Name(ModelTrust level) => level switch
    {
        ModelTrust.Trusted => "trusted",
        ModelTrust.Verified => "verified",
        _ => "untrusted",
    };
}

public enum SignatureState
{
    /// <summary>A trusted key made it over exactly this model.</summary>
    Valid,

    /// <summary>No trusted key has its id: it says nothing.</summary>
    UnknownKey,

    /// <summary>It is for another model, or not made by the key whose id it has.</summary>
    Bad,
}

/// <summary>A model that may not run here; the message is one sentence for the operator.</summary>
public sealed class ModelRefusedException(string message) : InvalidOperationException(message);
