using Akka.Actor;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Model;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Planning;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>How a coordinator gets the models of its deployments: from its own file, or from another coordinator of the cell that has it.</summary>
internal sealed partial class DeploymentFollower
{
    private void Import(DeploymentId id, ModelOptions options)
    {
        long lastReport = 0;
        void Report(long done, long total)
        {
            long now = Environment.TickCount64;
            long last = Interlocked.Read(ref lastReport);
            if ((now - last >= s_progress.TotalMilliseconds || done == total) && Interlocked.CompareExchange(ref lastReport, now, last) == last)
            {
                _self.Tell(new Progressed(id, done, total));
            }
        }

        ImportAsync(id, options, Report).PipeTo(_self, failure: e => new NotGot(id, e.Message, e.GetBaseException() is ModelRefusedException, Imported: true));
    }

    /// <summary>Takes the configured file in, with its adapters and its draft.</summary>
    private async Task<Got> ImportAsync(DeploymentId id, ModelOptions options, Action<long, long> report)
    {
        StoredModel stored = await _cell.Store.ImportAsync(options.Path, options.Sha256, report, _cell.Stopping);
        Got got = Take(id, stored, DeploymentWire.Settings(options), imported: true);
        if (options.Adapters.Count > 0)
        {
            AdapterOffer[] adapters = await ImportAdaptersAsync(options.Adapters, got.Model);
            got = got with { Model = got.Model with { Adapters = adapters }, Offer = got.Offer with { Adapters = adapters } };
        }

        if (options.Draft is null)
        {
            return got;
        }

        StoredModel draft = got.Model.RequireDraft(await _cell.Store.ImportAsync(options.Draft, report, _cell.Stopping));
        long draftBytes = ModelCost.DraftBytesOf(ModelShape.FromGguf(draft.Metadata), draft.TensorBytes(), got.Model.ContextLength, KvCacheTypes.Parse(options.KvCacheType));
        return got with { Offer = got.Offer with { DraftDigest = draft.Digest.ToString(), DraftBytes = draftBytes } };
    }

    private async Task<AdapterOffer[]> ImportAdaptersAsync(IReadOnlyList<AdapterOptions> adapters, ServedModel model)
    {
        var offers = new List<AdapterOffer>();
        foreach (AdapterOptions adapter in adapters)
        {
            try
            {
                StoredModel stored = model.RequireAdapter(await _cell.Store.ImportAsync(adapter.Path, null, _cell.Stopping));
                offers.Add(new AdapterOffer(adapter.Name, stored.Digest.ToString(), [.. adapter.Keys], stored.Evidence.ToOffer(stored.Digest)));
            }
            catch (Exception e) when (e is InvalidDataException or NotSupportedException or IOException)
            {
                throw new InvalidDataException($"adapter {adapter.Name}: {e.Message}", e);
            }
        }

        return [.. offers];
    }

    /// <summary>Gets what serving callers needs of a model that another coordinator imported, where this one's policy lets it run.</summary>
    private void Fetch(DeploymentId id, Followed followed, ModelOffer wanted, IReadOnlyList<Endpoint> sources)
    {
        followed.Fetching = true;
        async Task<Got> RunAsync()
        {
            (BlobDigest digest, BlobDigest metadata) = (BlobDigest.Parse(wanted.Digest), BlobDigest.Parse(wanted.MetadataDigest));
            ModelOptions? own = _cell.Models.GetValueOrDefault(id);
            _cell.Store.Judge(digest, wanted.Evidence, own?.Sha256);
            foreach (AdapterOffer adapter in wanted.Adapters ?? [])
            {
                JudgeAdapter(adapter);
            }

            var problems = new List<string>();
            foreach (Endpoint source in sources.Append(wanted.Blobs).Distinct().Where(source => source != _cell.BlobEndpoint))
            {
                try
                {
                    byte[] manifestBytes = await _cell.FetchAsync(source, digest, ModelManifest.MaxBytes);
                    byte[] metadataBytes = await _cell.FetchAsync(source, metadata, ModelStore.MaxMetadataBytes);
                    Got got = Take(id, _cell.Store.Adopt(digest, manifestBytes, metadata, metadataBytes, wanted.Evidence, own?.Sha256), followed.Settings, imported: false);
                    return got with { Model = got.Model with { Adapters = wanted.Adapters ?? [] } };
                }
                catch (Exception e) when (e is IOException or InvalidDataException or TimeoutException)
                {
                    problems.Add($"{source}: {e.Message}");
                }
            }

            throw new IOException($"no coordinator gave the metadata of model {id} ({string.Join("; ", problems)})");
        }

        RunAsync().PipeTo(_self, failure: e => new NotGot(id, e.Message, e.GetBaseException() is ModelRefusedException, Imported: false));
    }

    private void JudgeAdapter(AdapterOffer adapter)
    {
        try
        {
            _cell.Store.Judge(BlobDigest.Parse(adapter.Digest), adapter.Evidence, own: null);
        }
        catch (ModelRefusedException e)
        {
            throw new ModelRefusedException($"adapter {adapter.Name}: {e.Message}");
        }
    }

    private Got Take(DeploymentId id, StoredModel stored, DeploymentSettings settings, bool imported)
    {
        ServedModel model = ServedModel.Of(id.Value, stored, settings.ContextLength, DateTimeOffset.UtcNow.ToUnixTimeSeconds()) with
        {
            EmbeddingDimensions = settings.EmbeddingDimensions,
            KvType = KvCacheTypes.Parse(settings.KvCacheType),
        };
        return new Got(id, model, new ModelOffer(stored.Digest.ToString(), _cell.Store.OfferMetadata(stored).ToString(), _cell.BlobEndpoint, null, 0, Evidence: stored.Evidence.ToOffer(stored.Digest)), imported);
    }

    private void OnProgressed(Progressed progressed)
    {
        Followed followed = _followed[progressed.Deployment];
        (followed.ImportedBytes, followed.ImportBytes) = (progressed.Done, progressed.Total);
        KeepOne(progressed.Deployment);
    }

    private void OnGot(Got got)
    {
        Followed followed = _followed[got.Deployment];
        string? deployed = _cell.Shown.GetValueOrDefault(got.Deployment)?.Model?.Digest;
        if (got.Imported)
        {
            // Only who has the file offers it: others have no tensors.
            (followed.Model, followed.Problem, followed.Refused, followed.ImportBytes) = (got.Offer, null, false, 0);
        }
        else
        {
            followed.Fetching = false;
            followed.ForeignRefusal = null;
        }

        if (got.Imported && deployed is not null && deployed != got.Offer.Digest)
        {
            _cell.Logger.LogWarning("deployment {Deployment} serves model {Deployed}; the file configured here is {Digest} and stays unused", got.Deployment, deployed, got.Offer.Digest);
            return;
        }

        if (DigestOf(got.Deployment) is { } current && current != got.Offer.Digest)
        {
            _cell.Board.Prepare(got.Deployment.Value, got.Model);
            OnRedial(new Redial(got.Deployment));
            KeepOne(got.Deployment);
            return;
        }

        _cell.Board.SetModel(got.Deployment.Value, got.Model);
        KeepOne(got.Deployment);
    }

    private void OnNotGot(NotGot failed)
    {
        Followed followed = _followed[failed.Deployment];
        if (!failed.Imported)
        {
            // It is judged again whenever the owner shows it: what speaks for it may have changed. An owner is told, so that it deploys nothing that its policy refuses.
            followed.Fetching = false;
            if (failed.Problem != followed.ForeignRefusal)
            {
                _cell.Logger.LogWarning("deployment {Deployment} is not served here: {Problem}", failed.Deployment, failed.Problem);
            }

            string? refusal = failed.Refused ? failed.Problem : null;
            if (refusal != followed.ForeignRefusal)
            {
                followed.ForeignRefusal = refusal;
                KeepOne(failed.Deployment);
            }

            return;
        }

        (followed.Problem, followed.Refused) = (failed.Problem, failed.Refused);
        KeepOne(failed.Deployment);
    }
}
