using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Trust;

namespace Lamina.Coordinator.Models;

public sealed partial class ModelStore
{
    public Task<StoredModel> ImportAsync(string path, Action<long, long>? progress, CancellationToken cancellation) =>
        ImportAsync(path, sha256: null, progress, cancellation);

    /// <summary>
    /// Imports a GGUF model, given by its (first) file or, as <c>store:NAME</c>, by the name it was added under: validates it, hashes every tensor, writes manifest and header.
    /// A source that was imported before and is unchanged by path, length and time is taken from the store. A signature beside the file (<c>.sig</c>) counts.
    /// </summary>
    /// <param name="sha256">The hash that the operator expects: of the one file, or the model's digest; null = none.</param>
    /// <param name="progress">Called with (bytes hashed, bytes in all), from several threads.</param>
    /// <exception cref="ModelRefusedException">The cell's policy forbids it, or it has another hash.</exception>
    public async Task<StoredModel> ImportAsync(string path, string? sha256, Action<long, long>? progress, CancellationToken cancellation)
    {
        await _importing.WaitAsync(cancellation);
        try
        {
            return await Task.Run(
                () => path.StartsWith(StorePrefix, StringComparison.Ordinal) ? Task.FromResult(OpenNamed(path[StorePrefix.Length..], sha256, progress)) : ImportFileAsync(Path.GetFullPath(path), sha256, progress, cancellation),
                cancellation);
        }
        finally
        {
            _importing.Release();
        }
    }

    private async Task<StoredModel> ImportFileAsync(string path, string? sha256, Action<long, long>? progress, CancellationToken cancellation)
    {
        ImportRecord source = ImportRecord.Of(path);
        var evidence = new ModelEvidence(sha256, SignatureBeside(path));
        if (ImportRecord.TryRead(_imports, source.FileName) is { } known && known.IsSameSource(source) && (sha256 is null || known.FileSha256 is not null || known.Digest.EndsWith(sha256, StringComparison.Ordinal))
            && Reopen(known.Digest, known.Parts, out _) is { } stored)
        {
            progress?.Invoke(stored.TotalBytes, stored.TotalBytes);
            return Judged(stored, known.FileSha256, evidence);
        }

        RequireReachable(evidence);
        using var intake = new PartIntake(_files, _options, _tenant, _note);
        await intake.TakeAllAsync(path, sha256, cancellation);
        return Import(intake, source with { FileSha256 = intake.FileSha256 }, evidence, recorded: true, progress, cancellation);
    }

    /// <param name="source">What the record says about where it came from, if it is written.</param>
    private StoredModel Import(PartIntake intake, ImportRecord source, ModelEvidence evidence, bool recorded, Action<long, long>? progress, CancellationToken cancellation)
    {
        IReadOnlyList<GgufPart> parts = intake.Parts;
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
        StoredModel model = Judged(new StoredModel(digest, manifest, parts[0].Header.Metadata), source.FileSha256, evidence);
        WriteBlob(headerDigest, header);
        WriteBlob(vocabularyDigest, vocabulary);
        WriteBlob(digest, manifestBytes);
        Keep(evidence.Signatures);
        for (int i = 0; i < parts.Count; i++)
        {
            intake.Keep(i, PartName(digest, i));
        }

        if (recorded)
        {
            (source with { Digest = digest.ToString(), Parts = parts.Count }).Write(_imports);
        }

        Register(digest, manifest, parts);
        return model;
    }

    /// <summary>The model with its level, or the refusal of a level that the cell does not run.</summary>
    private StoredModel Judged(StoredModel model, string? fileSha256, ModelEvidence evidence)
    {
        evidence = WithKept(model.Digest, evidence);
        return model with { Trust = Level(model.Digest, fileSha256, evidence), Evidence = evidence };
    }

    private ModelTrust Level(BlobDigest digest, string? fileSha256, ModelEvidence evidence)
    {
        ModelTrust level = TrustDecision.LevelOf(digest, fileSha256, evidence, _trustedKeys);
        return TrustDecision.Refuse(level, _options.LeastTrust, _tenant) is { } refusal ? throw new ModelRefusedException(refusal) : level;
    }

    /// <summary>The evidence with the signatures that this store holds.</summary>
    private ModelEvidence WithKept(BlobDigest digest, ModelEvidence evidence) => evidence with { Signatures = [.. evidence.Signatures, .. SignaturesOf(digest)] };

    private void RequireReachable(ModelEvidence evidence)
    {
        // A signature may lie in the store already, under a digest that is not known yet.
        if (_signatures.Names().Length == 0
            && TrustDecision.Refuse(TrustDecision.Best(evidence, _trustedKeys.Count), _options.LeastTrust, _tenant) is { } refusal)
        {
            throw new ModelRefusedException(refusal);
        }
    }
}
