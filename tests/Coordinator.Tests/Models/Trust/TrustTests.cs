using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Sandbox;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Models.Trust;

public sealed class TrustTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-trust-").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa _stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose()
    {
        _key.Dispose();
        _stranger.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Every kind of evidence against every policy: (evidence, least) → runs or the refusal.</summary>
    [Trait("Attack", "M2")]
    [Theory]
    [InlineData("none", ModelTrust.Untrusted, true)]
    [InlineData("none", ModelTrust.Verified, false)]
    [InlineData("none", ModelTrust.Trusted, false)]
    [InlineData("hash", ModelTrust.Untrusted, true)]
    [InlineData("hash", ModelTrust.Verified, true)]
    [InlineData("hash", ModelTrust.Trusted, false)]
    [InlineData("digest", ModelTrust.Verified, true)]
    [InlineData("signature", ModelTrust.Verified, true)]
    [InlineData("signature", ModelTrust.Trusted, true)]
    [InlineData("stranger's signature", ModelTrust.Trusted, false)]
    [InlineData("stranger's signature", ModelTrust.Verified, false)]
    [InlineData("signature of another model", ModelTrust.Trusted, false)]
    public async Task Import_EvidenceAndPolicy_RunsOrIsRefusedInASentence(string evidence, ModelTrust least, bool runs)
    {
        string path = StoredModels.Write(_folder);
        string keyPath = Path.Combine(_folder, "key.pub");
        await File.WriteAllTextAsync(keyPath, _key.ExportSubjectPublicKeyInfoPem());
        BlobDigest digest = await DigestAsync(path);
        string? sha256 = evidence switch
        {
            "hash" => Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(path))),
            "digest" => digest.ToString()["sha256-".Length..],
            _ => null,
        };
        if (evidence.Contains("signature", StringComparison.Ordinal))
        {
            BlobDigest signed = evidence.EndsWith("another model", StringComparison.Ordinal) ? BlobDigest.Of([1]) : digest;
            await File.WriteAllBytesAsync(path + ".sig", ManifestSignature.Sign(signed, evidence.StartsWith("stranger", StringComparison.Ordinal) ? _stranger : _key).ToBytes());
        }

        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"), new ModelImportOptions { LeastTrust = least, SigningKeys = [keyPath] }, "acme");
        if (runs)
        {
            Assert.True((await store.ImportAsync(path, sha256, null, CancellationToken.None)).Trust >= least);
            // The second import comes from the record, and is judged again.
            Assert.True((await store.ImportAsync(path, sha256, null, CancellationToken.None)).Trust >= least);
        }
        else
        {
            ModelRefusedException refusal = await Assert.ThrowsAsync<ModelRefusedException>(() => store.ImportAsync(path, sha256, null, CancellationToken.None));
            Assert.Contains("cell acme runs only", refusal.Message, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "store", "files")));
        }
    }

    /// <summary>What one coordinator imported, another judges by its own policy and keys: (evidence, own hash, least) → runs or the refusal.</summary>
    [Trait("Attack", "M2")]
    [Theory]
    [InlineData("none", "", ModelTrust.Untrusted, true)]
    [InlineData("none", "", ModelTrust.Verified, false)]
    [InlineData("none", "digest", ModelTrust.Verified, true)]
    [InlineData("hash", "", ModelTrust.Verified, true)]
    [InlineData("hash", "hash", ModelTrust.Verified, true)]
    [InlineData("hash", "", ModelTrust.Trusted, false)]
    [InlineData("signature", "", ModelTrust.Trusted, true)]
    [InlineData("stranger's signature", "", ModelTrust.Verified, false)]
    [InlineData("signature of another model", "", ModelTrust.Verified, false)]
    [InlineData("none", "other", ModelTrust.Untrusted, false)]
    [InlineData("hash", "other", ModelTrust.Untrusted, false)]
    public async Task Adopt_EvidenceOfferedAndOwnPolicy_RunsOrIsRefusedAndNothingIsKept(string evidence, string own, ModelTrust least, bool runs)
    {
        string path = StoredModels.Write(_folder);
        string keyPath = Path.Combine(_folder, "key.pub");
        await File.WriteAllTextAsync(keyPath, _key.ExportSubjectPublicKeyInfoPem());
        BlobDigest digest = await DigestAsync(path);
        string hash = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(path)));
        if (evidence.Contains("signature", StringComparison.Ordinal))
        {
            BlobDigest signed = evidence.EndsWith("another model", StringComparison.Ordinal) ? BlobDigest.Of([1]) : digest;
            await File.WriteAllBytesAsync(path + ".sig", ManifestSignature.Sign(signed, evidence.StartsWith("stranger", StringComparison.Ordinal) ? _stranger : _key).ToBytes());
        }

        using ModelStore offering = ModelStore.Open(Path.Combine(_folder, "offering"));
        StoredModel model = await offering.ImportAsync(path, evidence == "hash" ? hash : null, null, CancellationToken.None);
        OfferedEvidence offered = Wire.Decode<OfferedEvidence>(Wire.Encode(model.Evidence.ToOffer(digest)).AsMemory());
        byte[] manifest = model.Manifest.ToBytes();
        byte[] metadata = GgufWriter.ToBytes(model.Metadata, []);
        string? named = own switch
        {
            "hash" => hash,
            "digest" => digest.ToString()["sha256-".Length..],
            "other" => new string('0', 64),
            _ => null,
        };

        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"), new ModelImportOptions { LeastTrust = least, SigningKeys = [keyPath] }, "acme");
        if (runs)
        {
            StoredModel adopted = store.Adopt(digest, manifest, BlobDigest.Of(metadata), metadata, offered, named);
            Assert.True(adopted.Trust >= least, $"{adopted.Trust}");
            // A third coordinator that gets it from this one judges by the same.
            Assert.Equal(offered.Signatures, adopted.Evidence.ToOffer(digest).Signatures);
        }
        else
        {
            ModelRefusedException refusal = Assert.Throws<ModelRefusedException>(() => store.Adopt(digest, manifest, BlobDigest.Of(metadata), metadata, offered, named));
            Assert.Contains(own == "other" ? $"expected {named}" : "cell acme runs only", refusal.Message, StringComparison.Ordinal);
            Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "store", "blobs")));
        }
    }

    [Trait("Attack", "M2")]
    [Fact]
    public async Task Import_PolicyTightenedLater_RefusesWhatTheStoreHolds()
    {
        string path = StoredModels.Write(_folder);
        using (ModelStore store = ModelStore.Open(Path.Combine(_folder, "store")))
        {
            await store.ImportAsync(path, null, CancellationToken.None);
            await store.AddAsync("named", path, path, null, false, null, CancellationToken.None);
        }

        using ModelStore tight = ModelStore.Open(Path.Combine(_folder, "store"), new ModelImportOptions { LeastTrust = ModelTrust.Verified });
        await Assert.ThrowsAsync<ModelRefusedException>(() => tight.ImportAsync(path, null, CancellationToken.None));
        await Assert.ThrowsAsync<ModelRefusedException>(() => tight.ImportAsync("store:named", null, CancellationToken.None));
    }

    [Trait("Attack", "H1")]
    [Fact]
    public async Task Import_AnotherHashThanTheOperatorNamed_IsRefused()
    {
        string path = StoredModels.Write(_folder);
        string sha256 = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(path)));
        byte[] altered = await File.ReadAllBytesAsync(path);
        altered[^40] ^= 1;
        await File.WriteAllBytesAsync(path, altered);
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        ModelRefusedException refusal = await Assert.ThrowsAsync<ModelRefusedException>(() => store.ImportAsync(path, sha256, null, CancellationToken.None));
        Assert.Contains(sha256, refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>Whoever alters the weights can make a new manifest and its digest, but not the signature.</summary>
    [Trait("Attack", "H2")]
    [Fact]
    public async Task Signature_WeightsManifestAndDigestAltered_NoLongerFits()
    {
        string path = StoredModels.Write(_folder);
        ManifestSignature signature = ManifestSignature.Sign(await DigestAsync(path), _key);
        Assert.True(signature.IsValid(await DigestAsync(path), _key));
        byte[] altered = await File.ReadAllBytesAsync(path);
        altered[^40] ^= 1;
        await File.WriteAllBytesAsync(path, altered);
        BlobDigest other = await DigestAsync(path);
        Assert.False(signature.IsValid(other, _key));
        Assert.False((signature with { Digest = other.ToString() }).IsValid(other, _key));
        Assert.False((signature with { KeyId = ManifestSignature.KeyIdOf(_stranger) }).IsValid(other, _stranger));
    }

    [Trait("Attack", "H2")]
    [Fact]
    public void Signature_AnyBitFlipped_IsRefused()
    {
        BlobDigest digest = BlobDigest.Of([1, 2, 3]);
        ManifestSignature honest = ManifestSignature.Sign(digest, _key);
        byte[] bytes = honest.ToBytes();
        for (int i = 0; i < bytes.Length * 8; i++)
        {
            byte[] flipped = [.. bytes];
            flipped[i / 8] ^= (byte)(1 << (i % 8));
            try
            {
                // JSON has two ways to write some characters: what reads the same is the same.
                Assert.True(ManifestSignature.Parse(flipped) is var parsed && (parsed == honest || !parsed.IsValid(digest, _key)), $"bit {i}");
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    [Trait("Attack", "H2")]
    [Fact]
    public void ReadKey_AnotherCurveOrNoKey_IsRefused()
    {
        string path = Path.Combine(_folder, "other.pem");
        using (var other = ECDsa.Create(ECCurve.NamedCurves.nistP384))
        {
            File.WriteAllText(path, other.ExportSubjectPublicKeyInfoPem());
        }

        Assert.Contains("P-256", Assert.Throws<InvalidDataException>(() => ManifestSignature.ReadKey(path)).Message, StringComparison.Ordinal);
        File.WriteAllText(path, "no key");
        Assert.Throws<InvalidDataException>(() => ManifestSignature.ReadKey(path));
    }

    [Trait("Attack", "M1")]
    [Theory]
    [InlineData("", 139)]
    [InlineData("", 0)]
    [InlineData("{\"HeaderSha256\":\"aa\"}", 1)]
    [InlineData("not json", 0)]
    [InlineData("{\"HeaderSha256\":null,\"Problem\":\"bad magic\",\"MemoryLimited\":true,\"DoorsClosed\":true}", 0)]
    public void Check_ChildThatDiesOrSaysNo_RefusesTheModel(string output, int exitCode) =>
        Assert.Throws<InvalidDataException>(() => ModelChecker.Judge(output, exitCode));

    private async Task<BlobDigest> DigestAsync(string path)
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, $"digest-{Guid.NewGuid():N}"), new ModelImportOptions { CopyFiles = false });
        string signature = path + ".sig";
        Assert.False(File.Exists(signature));
        return (await store.ImportAsync(path, null, CancellationToken.None)).Digest;
    }
}
