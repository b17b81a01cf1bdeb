using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>A deployment's state as other coordinators are shown it, and back.</summary>
internal static class DeploymentWire
{
    /// <summary>Stages that fit a control message beside all else; an epoch that is only being built is left out of a larger one.</summary>
    private const int MaxStages = 320;

    public static DeploymentSettings Settings(ModelOptions model) => new(
        model.Nodes, model.Stages, model.ContextLength, model.Threads, model.DraftTokens, model.KvCacheType, [.. model.EmbeddingDimensions], model.Pipelines, model.Spares);

    public static DeploymentSpec Spec(TenantId tenant, DeploymentId id, DeploymentSettings settings)
    {
        IReadOnlyList<LayerRange>? ranges = settings.Stages is null ? null : StageRanges.Parse(settings.Stages);
        return new DeploymentSpec(tenant, id, Math.Max(settings.Nodes, ranges?.Count ?? 1), ranges, settings.Threads, settings.DraftTokens, KvCacheTypes.Parse(settings.KvCacheType), settings.Pipelines, settings.Spares);
    }

    public static DeploymentProtocol.DeploymentShown Shown(DeploymentState state, DeploymentSettings settings, string owner, ModelOffer? model, IReadOnlyList<Endpoint> sources, ModelOffer? next = null)
    {
        var epochs = new List<EpochShown>();
        foreach (EpochState standing in state.Standing)
        {
            Add(epochs, EpochRole.Serving, standing);
        }

        foreach (EpochState retiring in state.Retiring)
        {
            Add(epochs, EpochRole.Retiring, retiring);
        }

        if (epochs.Sum(epoch => epoch.Stages.Count) + (state.Building?.Stages.Length ?? 0) <= MaxStages)
        {
            Add(epochs, EpochRole.Building, state.Building);
        }

        return new DeploymentProtocol.DeploymentShown(
            state.Spec.Tenant, state.Spec.Id, settings, 0, model, sources, state.LastEpoch, state.WasReady, state.GaveUp, state.Problem, state.ImportedBytes, state.ImportBytes, epochs, owner, state.Refused,
            [.. state.ToReplace], [.. state.Heard], next);
    }

    /// <summary>
    /// The state to go on from when its owner is gone: what served and what was being replaced stands until nodes say otherwise; what was being built is begun anew, and what an operator
    /// asked for is brought to its end.
    /// </summary>
    public static DeploymentState Resume(DeploymentProtocol.DeploymentShown shown)
    {
        return State(shown) with
        {
            NextDigest = shown.ToReplace is { Count: > 0 } ? shown.Next?.Digest : null,
            ToReplace = [.. (shown.ToReplace ?? []).Intersect(shown.Epochs.Where(epoch => epoch.Role == EpochRole.Serving).Select(epoch => epoch.Epoch))],
            Heard = [.. (shown.Heard ?? []).TakeLast(DeploymentState.MaxHeard)],
            Standing = [.. Epochs(shown, EpochRole.Serving).Select(epoch => epoch with { Phase = EpochPhase.Opening })],
            Retiring = [.. Epochs(shown, EpochRole.Retiring)],
            GaveUp = false,
        };
    }

    /// <summary>What planning needs to know of the model, from what this coordinator has of it.</summary>
    public static ModelFacts Facts(ModelOffer offer, ServedModel model, DeploymentSpec spec, IReadOnlyList<Endpoint> sources)
    {
        ModelCost cost = ModelCost.Of(model.Shape, model.Stored.TensorBytes(), model.ContextLength, spec.KvType);
        return new ModelFacts(offer.Digest, cost with { DraftBytes = offer.DraftBytes }, sources, !model.Generates, offer.DraftDigest, offer.Adapters?.Select(adapter => adapter.Digest).ToArray());
    }

    /// <summary>The state for looking at.</summary>
    public static DeploymentState Look(DeploymentProtocol.DeploymentShown shown) => State(shown) with
    {
        Standing = [.. Epochs(shown, EpochRole.Serving)],
        Building = Epochs(shown, EpochRole.Building).FirstOrDefault(),
        GaveUp = shown.GaveUp,
    };

    public static IEnumerable<EpochState> Epochs(DeploymentProtocol.DeploymentShown shown, EpochRole role) =>
        shown.Epochs.Where(epoch => epoch.Role == role).Select(epoch => Epoch(shown.Deployment, epoch));

    private static DeploymentState State(DeploymentProtocol.DeploymentShown shown) => DeploymentState.Begin(Spec(shown.Tenant, shown.Deployment, shown.Settings)) with
    {
        LastEpoch = shown.LastEpoch,
        WasReady = shown.WasReady,
        Problem = shown.Problem,
        Refused = shown.Refused,
        ImportedBytes = shown.ImportedBytes,
        ImportBytes = shown.ImportBytes,
    };

    private static void Add(List<EpochShown> epochs, EpochRole role, EpochState? epoch)
    {
        if (epoch is not null)
        {
            epochs.Add(new EpochShown(epoch.Epoch, role, (int)epoch.Phase, epoch.Plan.KvBlocks, epoch.Plan.MaxSequences, [.. epoch.Stages.Select(stage => new StageShown(
                stage.Address.Pipeline, stage.Address.Stage, stage.Plan.Node, stage.Node.Link, stage.Node.ProcessId, stage.Plan.Layers.First, stage.Plan.Layers.End,
                stage.Plan.WeightBytes, stage.Phase, stage.DoneBytes, stage.TotalBytes, stage.MemoryBytes))], epoch.Digest));
        }
    }

    private static EpochState Epoch(DeploymentId deployment, EpochShown epoch)
    {
        ImmutableArray<StageState> stages = [.. epoch.Stages.Select(stage => new StageState(
            new StageAddress(deployment, epoch.Epoch, stage.Pipeline, stage.Stage),
            new StagePlan(stage.Node, new LayerRange(stage.FirstLayer, stage.EndLayer), stage.WeightBytes),
            new NodeView(stage.Node, stage.Link, stage.ProcessId, "", 0, 0, 0, 0, []),
            stage.Phase, stage.DoneBytes, stage.TotalBytes, stage.MemoryBytes))];
        PipelinePlan[] pipelines = [.. stages.GroupBy(stage => stage.Address.Pipeline).OrderBy(group => group.Key).Select(group => new PipelinePlan([.. group.Select(stage => stage.Plan)]))];
        return new EpochState(epoch.Epoch, (EpochPhase)epoch.Phase, new Plan(pipelines, epoch.KvBlocks, epoch.MaxSequences, []), stages, Digest: epoch.Digest);
    }
}
