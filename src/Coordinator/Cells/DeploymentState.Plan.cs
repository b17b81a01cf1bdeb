using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>When a new epoch is begun.</summary>
public sealed partial record DeploymentState
{
    private DeploymentState Decide(List<DeploymentEffect> effects)
    {
        if (Model is null || Building is not null || Probing || GaveUp)
        {
            return this;
        }

        return Serving is null ? DecideFirst(effects) : DecideBeside(effects);
    }

    /// <summary>Nothing serves: plan with as many stages as there are nodes, up to the wanted number; without those at which builds failed, as long as that leaves enough.</summary>
    private DeploymentState DecideFirst(List<DeploymentEffect> effects)
    {
        int needed = WasReady ? FewestStages : Spec.Nodes;
        int available = Available.Count;
        if (available < needed)
        {
            return this with { Problem = $"{available} of {needed} nodes are up" };
        }

        NodeView[] trusted = [.. Available.Where(node => !Shunned.Contains(node.Name))];
        if (trusted.Length >= needed && trusted.Length < available && MakePlan(Math.Min(WantedStages, trusted.Length), trusted).Plan is { } plan)
        {
            return Build(plan, replaces: null, effects);
        }

        PlanResult result = MakePlan(Math.Min(WantedStages, available), Available);
        if (result.Plan is null)
        {
            // With fewer nodes than wanted the missing ones may bring what is lacking.
            return this with { Problem = result.Problem, GaveUp = available >= Spec.Nodes };
        }

        return (this with { Shunned = [] }).Build(result.Plan, replaces: null, effects);
    }

    /// <summary>
    /// Something serves: if a node of it is leaving, or nodes have come with which it would have more of the wanted stages, another pipeline is built beside it and takes its
    /// place; nodes that are left over get further pipelines. All that only as far as memory allows it beside what serves.
    /// </summary>
    private DeploymentState DecideBeside(List<DeploymentEffect> effects)
    {
        if (!Retiring.IsEmpty || TriedBeside.SequenceEqual(Present()))
        {
            return this;
        }

        foreach (EpochState standing in Standing)
        {
            if (DecideReplacement(standing, effects) is { } replaced)
            {
                return replaced;
            }
        }

        return DecideOneMore(effects);
    }

    /// <summary>Null when the pipeline is as good as it can be. A node whose stages find no other place leaves at once: its successor, or itself restarted, is what the streams then wait for.</summary>
    private DeploymentState? DecideReplacement(EpochState standing, List<DeploymentEffect> effects)
    {
        IReadOnlyList<NodeView> candidates = [.. Available.Where(node => !Standing.Any(other => other != standing && other.Uses(node.Name)))];
        ModelFacts model = ModelFor(standing);
        int stages = Math.Min(StagesOf(model), candidates.Count);
        NodeName[] leaving = [.. standing.Stages.Select(stage => stage.Plan.Node).Where(name => Nodes.TryGetValue(name, out NodeView? node) && node.Leaving).Distinct()];
        bool isBetter = stages > standing.Stages.Length;
        bool isAsked = ToReplace.Contains(standing.Epoch);
        bool isOfOldModel = standing.Digest is not null && standing.Digest != Model!.Digest;
        if (leaving.Length == 0 && (isAsked ? NextDigest is not null && Next is null : !isBetter && !isOfOldModel))
        {
            // What is asked for waits for a new owner to know the model that it changes to.
            return null;
        }

        if (!isBetter && leaving.Length == 0)
        {
            if (isOfOldModel && ReplacementOf(standing).Plan is null)
            {
                return this with { TriedBeside = Present() };
            }

            // It could be planned when it was asked for; if the nodes have changed so much since that it cannot, it stays as it is.
            return ReplacementOf(standing).Plan is { } asked
                ? Build(asked, standing.Epoch, effects, model)
                : (this with { ToReplace = ToReplace.Remove(standing.Epoch) }).DecideBeside(effects);
        }

        string? problem = null;
        for (int count = stages; count >= (leaving.Length == 0 ? stages : FewestStages) && count > 0; count--)
        {
            PlanResult result = MakePlan(count, candidates, model);
            if (result.Plan is not null)
            {
                return Build(result.Plan, standing.Epoch, effects, model);
            }

            problem = result.Problem;
        }

        if (leaving.Length == 0 && Standing.Count < Spec.Pipelines)
        {
            return null;
        }

        effects.AddRange(leaving.Select(name => new DeploymentEffect.Tell(name, new NodeCommands.LeaveNow(Spec.Tenant, problem ?? "no other node is up"))));
        return this with { TriedBeside = Present() };
    }

    /// <summary>A pipeline that serves and what would take its place.</summary>
    /// <param name="Plan">Null when nothing would: it is as it would be planned now, or the sentence says why not.</param>
    public sealed record Replacement(EpochState Standing, Plan? Plan, string? Problem);

    /// <summary>What asking for new plans would replace, as things are now.</summary>
    /// <param name="roll">Also what would be planned as it is.</param>
    public IReadOnlyList<Replacement> Replacements(bool roll) => Model is null
        ? []
        : [.. Standing.Select(ReplacementOf).Select(one => !roll && one.Plan is not null && IsSame(one.Standing.Plan, one.Plan) ? one with { Plan = null } : one)];

    /// <summary>Planned beside what serves: on the nodes that no other pipeline uses, in the memory that is left there.</summary>
    private Replacement ReplacementOf(EpochState standing)
    {
        IReadOnlyList<NodeView> candidates = [.. Available.Where(node => !Standing.Any(other => other != standing && other.Uses(node.Name)))];
        ModelFacts model = ModelFor(standing);
        PlanResult result = MakePlan(Math.Min(StagesOf(model), candidates.Count), candidates, model);
        return new Replacement(standing, result.Plan, result.Problem);
    }

    /// <summary>What takes a pipeline's place is of the model that a roll changes to where it was asked for, else of the one that serves.</summary>
    private ModelFacts ModelFor(EpochState standing) => ToReplace.Contains(standing.Epoch) ? Next ?? Model! : Model!;

    private static bool IsSame(Plan a, Plan b) => a.Pipelines.SelectMany(Places).SequenceEqual(b.Pipelines.SelectMany(Places));

    private static IEnumerable<(NodeName, LayerRange)> Places(PipelinePlan pipeline) => pipeline.Stages.Select(stage => (stage.Node, stage.Layers));

    private DeploymentState DecideOneMore(List<DeploymentEffect> effects)
    {
        NodeView[] free = [.. Available.Where(node => !Standing.Any(standing => standing.Uses(node.Name)))];
        if (Standing.Count >= Spec.Pipelines || free.Length - Spec.Spares < FewestStages)
        {
            return this;
        }

        for (int count = Math.Min(WantedStages, free.Length - Spec.Spares); count >= FewestStages; count--)
        {
            if (MakePlan(count, free).Plan is { } plan)
            {
                return Build(plan, replaces: null, effects);
            }
        }

        return this with { TriedBeside = Present() };
    }

    private int FewestStages => Spec.Ranges?.Count ?? 1;

    /// <summary>Stages that count for nothing any more are on their way out: their memory is free for a plan, and the node waits for it.</summary>
    private PlanResult MakePlan(int stages, IReadOnlyList<NodeView> nodes, ModelFacts? model = null)
    {
        // Nodes on one machine share its cores and memory; what their measurements differ by is chance.
        Dictionary<string, long> speeds = Nodes.Values.GroupBy(node => node.Link.Host, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Max(node => node.BytesPerSecond), StringComparer.Ordinal);
        bool IsOver(StageAddress stage) => stage.Deployment == Spec.Id && !Counts(stage.Epoch);
        return Planner.Make(new PlanRequest((model ?? Model!).Cost, [.. nodes.Select(node => node.Capacity(IsOver, speeds[node.Link.Host]))], stages, Spec.Ranges));
    }

    private DeploymentState Build(Plan plan, int? replaces, List<DeploymentEffect> effects, ModelFacts? of = null)
    {
        ModelFacts model = of ?? Model!;
        // A coordinator that was restarted goes on after the epochs that nodes remember: they refuse older ones.
        int remembered = Nodes.Values.SelectMany(node => node.Stages).Where(stage => stage.Address.Deployment == Spec.Id)
            .Select(stage => stage.Address.Epoch).DefaultIfEmpty(0).Max();
        EpochState epoch = EpochState.Begin(Spec.Id, Math.Max(LastEpoch, remembered) + 1, plan, Nodes) with { Replaces = replaces, Digest = model.Digest };
        StageSettings settings = model.Settings(plan, Spec);
        foreach (StageState stage in epoch.Stages)
        {
            IReadOnlyList<StagePlan> pipeline = plan.Pipelines[stage.Address.Pipeline].Stages;
            NodeName? predecessor = pipeline.Count == 1 ? null : pipeline[(stage.Address.Stage + pipeline.Count - 1) % pipeline.Count].Node;
            effects.Add(new DeploymentEffect.Tell(stage.Plan.Node, new NodeCommands.LoadStage(
                Spec.Tenant, stage.Address, pipeline.Count, stage.Plan.Layers.First, stage.Plan.Layers.End, model.Digest, [.. model.Sources, .. PeersOf(stage.Plan.Node)], settings, predecessor, stage.Address.Stage == 0 ? model.DraftDigest : null, model.AdapterDigests)));
        }

        return this with { Building = epoch, LastEpoch = epoch.Epoch, Problem = null };
    }

    /// <summary>
    /// Where a node may find, after the coordinators, what they do not have: the other nodes' caches, which keep tensors of layers that they held before. What a peer gives is compared with
    /// its digest as what a coordinator gives is.
    /// </summary>
    private IEnumerable<Endpoint> PeersOf(NodeName node) => Nodes.Values.Where(other => other.Name != node).Select(other => other.Link).Take(MaxPeers);

    /// <summary>All that count.</summary>
    private IEnumerable<EpochState> Epochs => (Building is null ? [] : new[] { Building }).Concat(Standing).Concat(Retiring);

    private bool Counts(int epoch) => Epochs.Any(other => other.Epoch == epoch);

    /// <summary>Stages of this deployment that belong to no epoch that still counts: of a coordinator that died, or on a node that was out of reach when they were unloaded.</summary>
    private void UnloadStrays(List<DeploymentEffect> effects)
    {
        foreach (NodeView node in Nodes.Values)
        {
            foreach (StageStatus stage in node.Stages.Where(stage => stage.Address.Deployment == Spec.Id && !Counts(stage.Address.Epoch)))
            {
                effects.Add(new DeploymentEffect.Tell(node.Name, new NodeCommands.UnloadStage(Spec.Tenant, stage.Address)));
            }
        }
    }
}
