using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Node.Blobs;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Stages;

/// <summary>Turns a plan into a loaded stage: manifest and header, then the stage's own tensors, each verified when it arrives and again when it is mapped.</summary>
internal sealed class StageLoader(BlobCache cache, BlobFetcher fetcher, int defaultThreads, ComputeDevice device)
{
    /// <param name="report">Called with (phase, bytes done, bytes in all), often and from any thread.</param>
    /// <param name="reserve">Called once with the bytes the stage will hold; gives the sentence why not when the node has not that much.</param>
    /// <exception cref="StageFault">With the sentence for whoever planned it.</exception>
    public async Task<StageExecutor> LoadAsync(NodeCommands.LoadStage plan, Action<StagePhase, long, long> report, Func<long, Task<string?>> reserve, CancellationToken cancellation)
    {
        try
        {
            return await LoadCheckedAsync(plan, report, reserve, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not (StageFault or OperationCanceledException))
        {
            throw new StageFault(
                e switch
                {
                    InvalidDataException => StageFailure.Corrupt,
                    NotSupportedException => StageFailure.Unsupported,
                    ArgumentException => StageFailure.Refused,
                    OutOfMemoryException => StageFailure.OutOfMemory,
                    IOException or UnauthorizedAccessException => StageFailure.NotFound,
                    _ => StageFailure.Internal,
                },
                e.Message,
                e);
        }
    }

    private async Task<StageExecutor> LoadCheckedAsync(NodeCommands.LoadStage plan, Action<StagePhase, long, long> report, Func<long, Task<string?>> reserve, CancellationToken cancellation)
    {
        StageSettings settings = plan.Settings.Threads == 0 ? plan.Settings with { Threads = defaultThreads } : plan.Settings;
        StageOptions options = StageSetup.Options(settings, device);
        (ModelManifest manifest, ModelShape shape) = await ReadModelAsync(plan.ModelDigest, plan.Sources, cancellation).ConfigureAwait(false);
        LayerRange layers = Layers(plan, shape);
        ManifestTensor[] tensors = Select(manifest, shape, layers);
        DraftPlan? draft = plan.DraftDigest is { } digest ? await PlanDraftAsync(digest, plan.Sources, cancellation).ConfigureAwait(false) : null;

        var adapters = new List<AdapterPlan>();
        foreach (string adapter in plan.AdapterDigests ?? [])
        {
            adapters.Add(await PlanAdapterAsync(adapter, manifest, shape, layers, plan.Sources, cancellation).ConfigureAwait(false));
        }

        // What the weights take once packed is close to what they take in the file; the exact figure replaces it when the stage stands.
        long needed = tensors.Sum(t => t.Bytes) + KvCache.RequiredBytes(shape, layers, options) + (draft?.RequiredBytes(options) ?? 0) + adapters.Sum(a => a.Tensors.Sum(t => t.Bytes));
        if (await reserve(needed).ConfigureAwait(false) is { } refusal)
        {
            throw new StageFault(StageFailure.OutOfMemory, refusal);
        }

        GgufMetadata? vocabulary = layers.End < shape.LayerCount ? null : GgufReader.ReadMetadata(
            await ReadAsync(BlobWanted.Exactly(manifest.Vocabulary.Digest, manifest.Vocabulary.Bytes), plan.Sources, cancellation).ConfigureAwait(false));
        using VerifiedTensors verified = await FetchAndOpenAsync(tensors, plan.Sources, options.Threads, report, cancellation).ConfigureAwait(false);
        using VerifiedTensors? drafts = draft is null ? null : await FetchAndOpenAsync(draft.Tensors, plan.Sources, options.Threads, report, cancellation).ConfigureAwait(false);
        cancellation.ThrowIfCancellationRequested();
        DraftModel? drafter = draft is null ? null : StageSetup.LoadDraft(drafts!, draft.Shape, shape, settings);
        StageExecutor executor = StageSetup.Load(verified, shape, layers, settings, vocabulary, (done, total) => report(StagePhase.Loading, done, total), drafter, device);
        try
        {
            foreach (AdapterPlan adapter in adapters)
            {
                using VerifiedTensors changes = await FetchAndOpenAsync(adapter.Tensors, plan.Sources, options.Threads, report, cancellation).ConfigureAwait(false);
                executor.LoadAdapter(changes, adapter.Shape);
            }

            return executor;
        }
        catch
        {
            executor.Dispose();
            throw;
        }
    }

    /// <summary>The stage's part of an adapter; an adapter that changes none of its matrices is loaded all the same, for its number.</summary>
    private async Task<AdapterPlan> PlanAdapterAsync(string digest, ModelManifest model, ModelShape shape, LayerRange layers, IReadOnlyList<Endpoint> sources, CancellationToken cancellation)
    {
        ModelManifest manifest = ModelManifest.Parse(await ReadAsync(BlobWanted.AtMost(BlobDigest.Parse(digest), ModelManifest.MaxBytes), sources, cancellation).ConfigureAwait(false));
        byte[] header = await ReadAsync(BlobWanted.Exactly(manifest.Header.Digest, manifest.Header.Bytes), sources, cancellation).ConfigureAwait(false);
        HashSet<string> inModel = [.. model.Tensors.Select(t => t.Name)];
        Dictionary<string, ManifestTensor> inAdapter = manifest.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        return new AdapterPlan(
            AdapterShape.FromGguf(GgufReader.ReadMetadata(header)), [.. AdapterShape.TensorNames(shape, layers, inModel.Contains, inAdapter.ContainsKey).Select(name => inAdapter[name])]);
    }

    private async Task<(ModelManifest Manifest, ModelShape Shape)> ReadModelAsync(string digest, IReadOnlyList<Endpoint> sources, CancellationToken cancellation)
    {
        ModelManifest manifest = ModelManifest.Parse(await ReadAsync(BlobWanted.AtMost(BlobDigest.Parse(digest), ModelManifest.MaxBytes), sources, cancellation).ConfigureAwait(false));
        byte[] header = await ReadAsync(BlobWanted.Exactly(manifest.Header.Digest, manifest.Header.Bytes), sources, cancellation).ConfigureAwait(false);
        return (manifest, ModelShape.FromGguf(GgufReader.ReadMetadata(header)));
    }

    private async Task<DraftPlan> PlanDraftAsync(string digest, IReadOnlyList<Endpoint> sources, CancellationToken cancellation)
    {
        (ModelManifest manifest, ModelShape shape) = await ReadModelAsync(digest, sources, cancellation).ConfigureAwait(false);
        return new DraftPlan(shape, Select(manifest, shape, new LayerRange(0, shape.LayerCount)));
    }

    private async Task<VerifiedTensors> FetchAndOpenAsync(ManifestTensor[] tensors, IReadOnlyList<Endpoint> sources, int threads, Action<StagePhase, long, long> report, CancellationToken cancellation)
    {
        long total = tensors.Sum(t => t.Bytes);
        BlobWanted[] wanted = [.. tensors.Select(t => BlobWanted.Exactly(t.Digest, t.Bytes))];
        for (bool again = false; ; again = true)
        {
            await fetcher.FetchAsync(wanted, sources, done => report(StagePhase.Fetching, done, total), cancellation).ConfigureAwait(false);
            try
            {
                return VerifiedTensors.Open(cache, tensors, threads);
            }
            catch (StageFault fault) when (!again && fault.Failure is StageFailure.Corrupt or StageFailure.NotFound)
            {
                // A damaged blob was dropped from the cache: it is fetched again, once.
            }
        }
    }

    /// <summary>A small blob, fetched unless it is held, and verified from the bytes that are used.</summary>
    private async Task<byte[]> ReadAsync(BlobWanted blob, IReadOnlyList<Endpoint> sources, CancellationToken cancellation)
    {
        for (bool again = false; ; again = true)
        {
            await fetcher.FetchAsync([blob], sources, null, cancellation).ConfigureAwait(false);
            using BlobReader? reader = cache.TryOpen(blob.Digest);
            if (reader is not null && reader.Length <= blob.Limit)
            {
                byte[] bytes = new byte[reader.Length];
                reader.ReadExactly(0, bytes);
                if (BlobDigest.Of(bytes) == blob.Digest)
                {
                    return bytes;
                }
            }

            cache.Remove(blob.Digest);
            if (again)
            {
                throw new StageFault(StageFailure.Corrupt, $"{blob.Digest} in the cache is damaged");
            }
        }
    }

    private static LayerRange Layers(NodeCommands.LoadStage plan, ModelShape shape)
    {
        var layers = new LayerRange(plan.FirstLayer, plan.EndLayer);
        bool fits = layers.First >= 0 && layers.Count >= 1 && layers.End <= shape.LayerCount
            && plan.StageCount >= 1 && plan.Address.Stage >= 0 && plan.Address.Stage < plan.StageCount
            && (layers.First == 0) == (plan.Address.Stage == 0) && (layers.End == shape.LayerCount) == (plan.Address.Stage == plan.StageCount - 1);
        return fits
            ? layers
            : throw new StageFault(StageFailure.Refused, $"layers {layers} as stage {plan.Address.Stage} of {plan.StageCount} do not fit a model of {shape.LayerCount} layers");
    }

    private static ManifestTensor[] Select(ModelManifest manifest, ModelShape shape, LayerRange layers)
    {
        Dictionary<string, ManifestTensor> byName = manifest.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        return [.. shape.TensorNames(layers, byName.ContainsKey).Select(name => byName.GetValueOrDefault(name)
            ?? throw new StageFault(StageFailure.Corrupt, $"the model lacks tensor {name}"))];
    }

    /// <summary>An adapter about to be loaded beside a stage's weights.</summary>
    private sealed record AdapterPlan(AdapterShape Shape, ManifestTensor[] Tensors);

    /// <summary>A draft model about to be loaded beside the head.</summary>
    private sealed record DraftPlan(ModelShape Shape, ManifestTensor[] Tensors)
    {
        public long RequiredBytes(StageOptions head) =>
            Tensors.Sum(t => t.Bytes) + KvCache.RequiredBytes(Shape, new LayerRange(0, Shape.LayerCount), DraftModel.Options(head));
    }
}
