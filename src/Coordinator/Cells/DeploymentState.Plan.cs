using Lamina.Cluster.Messages;
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

    /// <summary>Nothing serves: plan with as many stages as there are nodes, up to the wanted number.</summary>
    private DeploymentState DecideFirst(List<DeploymentEffect> effects)
    {
        int needed = WasReady ? Spec.Ranges?.Count ?? 1 : Spec.Nodes;
        if (Nodes.Count < needed)
        {
            return this with { Problem = $"{Nodes.Count} of {needed} nodes are up" };
        }

        PlanResult result = MakePlan(Math.Min(WantedStages, Nodes.Count), Spec.Id);
        if (result.Plan is null)
        {
            // With fewer nodes than wanted the missing ones may bring what is lacking.
            return this with { Problem = result.Problem, GaveUp = Nodes.Count >= Spec.Nodes };
        }

        return Build(result.Plan, effects);
    }

    /// <summary>A smaller plan serves than is wanted and nodes have come: build a full one beside it, if memory allows both.</summary>
    private DeploymentState DecideBeside(List<DeploymentEffect> effects)
    {
        int stages = Math.Min(WantedStages, Nodes.Count);
        if (stages <= Serving!.Plan.Pipelines[0].Stages.Count || !Retiring.IsEmpty || TriedBeside.SequenceEqual(Present()))
        {
            return this;
        }

        PlanResult result = MakePlan(stages, reclaimed: null);
        return result.Plan is null ? this with { TriedBeside = Present() } : Build(result.Plan, effects);
    }

    private PlanResult MakePlan(int stages, DeploymentId? reclaimed)
    {
        // Nodes on one machine share its cores and memory; what their measurements differ by is chance.
        Dictionary<string, long> speeds = Nodes.Values.GroupBy(node => node.Link.Host, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Max(node => node.BytesPerSecond), StringComparer.Ordinal);
        return Planner.Make(new PlanRequest(
            Model!.Cost, [.. Nodes.Values.Select(node => node.Capacity(reclaimed, speeds[node.Link.Host]))], stages, Spec.Ranges));
    }

    private DeploymentState Build(Plan plan, List<DeploymentEffect> effects)
    {
        // A coordinator that was restarted goes on after the epochs that nodes remember: they refuse older ones.
        int remembered = Nodes.Values.SelectMany(node => node.Stages).Where(stage => stage.Address.Deployment == Spec.Id)
            .Select(stage => stage.Address.Epoch).DefaultIfEmpty(0).Max();
        EpochState epoch = EpochState.Begin(Spec.Id, Math.Max(LastEpoch, remembered) + 1, plan, Nodes);
        StageSettings settings = Model!.Settings(plan, Spec);
        foreach (StageState stage in epoch.Stages)
        {
            IReadOnlyList<StagePlan> pipeline = plan.Pipelines[stage.Address.Pipeline].Stages;
            NodeName? predecessor = pipeline.Count == 1 ? null : pipeline[(stage.Address.Stage + pipeline.Count - 1) % pipeline.Count].Node;
            effects.Add(new DeploymentEffect.Tell(stage.Plan.Node, new NodeCommands.LoadStage(
                Spec.Tenant, stage.Address, pipeline.Count, stage.Plan.Layers.First, stage.Plan.Layers.End, Model.Digest, Model.Sources, settings, predecessor, stage.Address.Stage == 0 ? Model.DraftDigest : null)));
        }

        return this with { Building = epoch, LastEpoch = epoch.Epoch, Problem = null };
    }

    private bool Counts(int epoch) => Serving?.Epoch == epoch || Building?.Epoch == epoch || Retiring.Exists(old => old.Epoch == epoch);

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
