using System.Collections.Immutable;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Cells;

/// <summary>What each event changes.</summary>
public sealed partial record DeploymentState
{
    private DeploymentState On(DeploymentEvent happened, List<DeploymentEffect> effects)
    {
        switch (happened)
        {
            case DeploymentEvent.ImportProgressed progress:
                return Model is null ? this with { ImportedBytes = progress.DoneBytes, ImportBytes = progress.TotalBytes } : this;
            case DeploymentEvent.ModelImported imported:
                // Where it can be fetched from may have been what was lacking.
                return this with { Model = imported.Model, ImportedBytes = ImportBytes, TriedBeside = [] };
            case DeploymentEvent.ImportFailed failed:
                return this with { GaveUp = true, Problem = failed.Reason, Refused = failed.Refused };
            case DeploymentEvent.NodesSeen seen:
                return OnNodes(seen.Nodes, effects);
            case DeploymentEvent.NodesProbed probed:
                return (Probing && GaveUp ? this with { Probing = false, GaveUp = false, Failures = MaxFailures - 1, Shunned = [] } : this with { Probing = false }).OnNodes(probed.Nodes, effects);
            case DeploymentEvent.StageProgressed progress when Building?.Find(progress.Address, progress.Node) is { Phase: StagePhase.Fetching or StagePhase.Loading } stage && progress.Phase <= StagePhase.Loading:
                return this with { Building = Building.With(stage with { Phase = progress.Phase, DoneBytes = progress.DoneBytes, TotalBytes = progress.TotalBytes }) };
            case DeploymentEvent.StageLoaded loaded when Building?.Find(loaded.Address, loaded.Node) is { Phase: < StagePhase.Loaded } stage:
                return OnLoaded(Building.With(stage with { Phase = StagePhase.Loaded, MemoryBytes = loaded.MemoryBytes }), effects);
            case DeploymentEvent.StageReady ready when Building?.Find(ready.Address, ready.Node) is { Phase: StagePhase.Loaded } stage:
                return OnReady(Building.With(stage with { Phase = StagePhase.Ready }), effects);
            case DeploymentEvent.StageLoaded loaded:
                return UnloadStray(loaded.Address, loaded.Node, effects);
            case DeploymentEvent.StageFailed failed:
                return OnStageFailed(failed, effects);
            case DeploymentEvent.HeadsOpened opened when Building is { Phase: EpochPhase.Opening } && Building.Epoch == opened.Epoch:
                return OnHeadsOpened(effects);
            case DeploymentEvent.HeadsOpened opened when Find(opened.Epoch, EpochPhase.Opening) is { } standing:
                effects.Add(new DeploymentEffect.Serve(opened.Epoch));
                return this with { Standing = Standing.Replace(standing, standing with { Phase = EpochPhase.Serving }) };
            case DeploymentEvent.HeadLost lost when Find(lost.Epoch, EpochPhase.Serving) is { } standing:
                // The pipeline may stand; only if the head cannot be reached again is it lost.
                effects.Add(new DeploymentEffect.StopServing(lost.Epoch));
                effects.Add(new DeploymentEffect.OpenHeads(lost.Epoch, [.. standing.Heads]));
                return this with { Standing = Standing.Replace(standing, standing with { Phase = EpochPhase.Opening }) };
            case DeploymentEvent.HeadLost lost when Retiring.Exists(epoch => epoch.Epoch == lost.Epoch):
                return OnEpochLost(lost.Epoch, lost.Reason, permanent: false, effects);
            case DeploymentEvent.HeadsFailed failed:
                return (Building?.Epoch == failed.Epoch ? this with { Shunned = Shunned.Union(Building.Heads.Select(head => head.Plan.Node)) } : this).OnEpochLost(failed.Epoch, failed.Reason, permanent: false, effects);
            case DeploymentEvent.Drained drained when Retiring.Find(epoch => epoch.Epoch == drained.Epoch) is { } old:
                Unload(old, effects);
                return this with { Retiring = Retiring.Remove(old) };
            case DeploymentEvent.Stalled stalled when Building?.Epoch == stalled.Epoch:
                return OnEpochLost(stalled.Epoch, "loading made no progress", permanent: false, effects);
            case DeploymentEvent.ReplanAsked asked when Model is not null && !Nodes.IsEmpty && (asked.Ask == 0 || !Heard.Contains(asked.Ask)) && (asked.Next is null || NextDigest is null || NextDigest == asked.Next.Digest):
                // An owner that has only begun cannot tell yet what would be replaced, and one model is changed to at a time: else it does not hear, and is asked again.
                // A coordinator of the version before numbers no ask, and sends each once.
                return OnReplan(asked);
            case DeploymentEvent.NextKnown known when known.Next.Digest == NextDigest:
                return this with { Next = known.Next };
            default:
                return this;
        }
    }

    private DeploymentState OnReplan(DeploymentEvent.ReplanAsked asked)
    {
        DeploymentState state = this with { TriedBeside = [], Heard = [.. Heard.Append(asked.Ask).TakeLast(MaxHeard)] };
        if (asked.Next is { } next && next.Digest != Model!.Digest)
        {
            state = state with { Next = next, NextDigest = next.Digest, ToReplace = [.. Standing.Select(standing => standing.Epoch)] };
        }

        IReadOnlyList<Replacement> replacements = state.Replacements(asked.Roll);
        return state with
        {
            ToReplace = [.. replacements.Where(one => one.Plan is not null).Select(one => one.Standing.Epoch)],
            Problem = replacements.Select(one => one.Problem).FirstOrDefault(problem => problem is not null),
        };
    }

    private DeploymentState OnNodes(IReadOnlyList<NodeView> nodes, List<DeploymentEffect> effects)
    {
        var table = nodes.ToImmutableSortedDictionary(node => node.Name, node => node, Nodes.KeyComparer);
        bool changed = table.Count != Nodes.Count || table.Any(node => !Nodes.TryGetValue(node.Key, out NodeView? old) || !old.IsSameToPlans(node.Value));
        DeploymentState state = this with { Nodes = table };
        state.UnloadStrays(effects);
        foreach (EpochState epoch in state.Epochs.ToArray())
        {
            if (epoch.MissingNode(table) is { } missing)
            {
                state = state.OnEpochLost(epoch.Epoch, $"node {missing} is gone", permanent: false, effects);
            }
        }

        if (state.Building is { } building && building.Stages.FirstOrDefault(stage => table[stage.Plan.Node].Leaving) is { } leaving)
        {
            state = state.OnEpochLost(building.Epoch, $"node {leaving.Plan.Node} is leaving", permanent: false, effects);
        }

        // After the losses, not before: what failed because of a node that is gone says nothing of the nodes that are left, and no other change may come.
        return changed && Model is not null ? state with { GaveUp = false, Failures = 0, TriedBeside = [], Shunned = [], Probing = state.Probing && !state.GaveUp } : state;
    }

    /// <summary>
    /// A node that stood still takes up a load that was meant for an epoch since lost, and could not be told of its end. Other reports of stages that do not count change nothing.
    /// </summary>
    private DeploymentState UnloadStray(StageAddress stage, NodeName node, List<DeploymentEffect> effects)
    {
        if (stage.Deployment == Spec.Id && !Counts(stage.Epoch))
        {
            effects.Add(new DeploymentEffect.Tell(node, new NodeCommands.UnloadStage(Spec.Tenant, stage)));
        }

        return this;
    }

    private DeploymentState OnLoaded(EpochState epoch, List<DeploymentEffect> effects)
    {
        if (!epoch.All(StagePhase.Loaded))
        {
            return this with { Building = epoch };
        }

        foreach (StageState stage in epoch.Stages)
        {
            StageState[] pipeline = [.. epoch.Pipeline(stage.Address.Pipeline)];
            StageState? next = stage.Address.Stage + 1 < pipeline.Length ? pipeline[stage.Address.Stage + 1] : null;
            StageState? head = next is null && pipeline.Length > 1 ? pipeline[0] : null;
            effects.Add(new DeploymentEffect.Tell(stage.Plan.Node, new NodeCommands.ConnectStage(
                Spec.Tenant, stage.Address, next?.Node.Link, next?.Plan.Node, head?.Node.Link, head?.Plan.Node)));
        }

        return this with { Building = epoch with { Phase = EpochPhase.Connecting } };
    }

    private DeploymentState OnReady(EpochState epoch, List<DeploymentEffect> effects)
    {
        if (!epoch.All(StagePhase.Ready) || epoch.Phase != EpochPhase.Connecting)
        {
            return this with { Building = epoch };
        }

        effects.Add(new DeploymentEffect.OpenHeads(epoch.Epoch, [.. epoch.Heads]));
        return this with { Building = epoch with { Phase = EpochPhase.Opening } };
    }

    private DeploymentState OnHeadsOpened(List<DeploymentEffect> effects)
    {
        effects.Add(new DeploymentEffect.Serve(Building!.Epoch));
        EpochState opened = Building with { Phase = EpochPhase.Serving, Replaces = null };
        bool changes = Next is not null && Building.Digest == Next.Digest;
        if (changes)
        {
            effects.Add(new DeploymentEffect.UseModel(Next!.Digest));
        }

        EpochState? old = Standing.Find(epoch => epoch.Epoch == Building.Replaces);
        if (old is not null)
        {
            effects.Add(new DeploymentEffect.Drain(old.Epoch));
        }

        return this with
        {
            Standing = old is null ? Standing.Add(opened) : Standing.Replace(old, opened),
            Retiring = old is null ? Retiring : Retiring.Add(old),
            Building = null,
            WasReady = true,
            Failures = 0,
            GaveUp = false,
            Problem = null,
            TriedBeside = [],
            Shunned = [],
            ToReplace = ToReplace.RemoveAll(asked => asked == old?.Epoch),
            Model = changes ? Next : Model,
            Next = changes ? null : Next,
            NextDigest = changes ? null : NextDigest,
        };
    }

    private DeploymentState OnStageFailed(DeploymentEvent.StageFailed failed, List<DeploymentEffect> effects)
    {
        if (failed.Address.Deployment != Spec.Id)
        {
            return this;
        }

        bool known = Epochs.Any(epoch => epoch.Find(failed.Address, failed.Node) is not null);
        bool permanent = failed.Failure is StageFailure.Unsupported or StageFailure.Corrupt;

        DeploymentState state = Building?.Epoch == failed.Address.Epoch ? this with { Shunned = Shunned.Union(Blamed(failed)) } : this;
        return known ? state.OnEpochLost(failed.Address.Epoch, $"node {failed.Node}: {failed.Reason}", permanent, effects) : this;
    }

    /// <summary>A full disk is the node's own; of a link that does not come about either end may be at fault: the one that reports it, or the next stage's, which it dials.</summary>
    private IEnumerable<NodeName> Blamed(DeploymentEvent.StageFailed failed) => failed.Failure switch
    {
        StageFailure.OutOfMemory or StageFailure.NotFound or StageFailure.Internal => [failed.Node],
        StageFailure.LinkLost when Building!.Pipeline(failed.Address.Pipeline).ToArray() is { Length: > 1 } ring => [failed.Node, ring[(failed.Address.Stage + 1) % ring.Length].Plan.Node],
        _ => [],
    };

    private DeploymentState OnEpochLost(int epoch, string reason, bool permanent, List<DeploymentEffect> effects)
    {
        if (Building?.Epoch == epoch)
        {
            Unload(Building, effects);
            effects.Add(new DeploymentEffect.StopServing(epoch));
            if (Serving is not null)
            {
                // The serving epoch stays; a better one is tried again when the nodes change. What somebody asked for ends with its first failure.
                return this with { Building = null, TriedBeside = Present(), ToReplace = [], Problem = reason };
            }

            DeploymentState failed = this with { Building = null, Failures = Failures + 1, Problem = reason, GaveUp = permanent || Failures + 1 >= MaxFailures };
            return permanent ? failed : failed.AskProbe(effects);
        }

        if (Standing.Find(standing => standing.Epoch == epoch) is { } lost)
        {
            effects.Add(new DeploymentEffect.StopServing(epoch));
            Unload(lost, effects);
            return (this with { Standing = Standing.Remove(lost), Problem = reason }).AskProbe(effects);
        }

        if (Retiring.Find(old => old.Epoch == epoch) is { } retired)
        {
            effects.Add(new DeploymentEffect.StopServing(epoch));
            Unload(retired, effects);
            return this with { Retiring = Retiring.Remove(retired) };
        }

        return this;
    }

    /// <summary>Who of the nodes is still there is asked before the next plan: links notice a loss long before the cluster does.</summary>
    private DeploymentState AskProbe(List<DeploymentEffect> effects)
    {
        if (Probing)
        {
            return this;
        }

        effects.Add(new DeploymentEffect.Probe(GaveUp ? RetryInterval : Failures < 2 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(250 << (Failures - 2))));
        return this with { Probing = true };
    }

    private EpochState? Find(int epoch, EpochPhase phase) => Standing.Find(standing => standing.Epoch == epoch && standing.Phase == phase);

    private void Unload(EpochState epoch, List<DeploymentEffect> effects)
    {
        foreach (StageState stage in epoch.Stages)
        {
            effects.Add(new DeploymentEffect.Tell(stage.Plan.Node, new NodeCommands.UnloadStage(Spec.Tenant, stage.Address)));
        }
    }

    private ImmutableArray<(NodeName, int, bool)> Present() => [.. Nodes.Values.Select(node => (node.Name, node.ProcessId, node.Leaving))];
}
