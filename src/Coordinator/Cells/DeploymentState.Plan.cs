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
        int available = Available.Count;
        if (available < needed)
        {
            return this with { Problem = $"{available} of {needed} nodes are up" };
        }

        PlanResult result = MakePlan(Math.Min(WantedStages, available), Spec.Id);
        if (result.Plan is null)
        {
            // With fewer nodes than wanted the missing ones may bring what is lacking.
            return this with { Problem = result.Problem, GaveUp = available >= Spec.Nodes };
        }

        return Build(result.Plan, effects);
    }

    /// <summary>
    /// A smaller plan serves than is wanted and nodes have come, or a node of the plan is leaving: build another beside it, if memory allows both. A node whose stages find no
    /// other place leaves at once: its successor, or itself restarted, is what the streams then wait for.
    /// </summary>
    private DeploymentState DecideBeside(List<DeploymentEffect> effects)
    {
        int stages = Math.Min(WantedStages, Available.Count);
        NodeName[] leaving = [.. Serving!.Stages.Select(stage => stage.Plan.Node).Where(name => Nodes.TryGetValue(name, out NodeView? node) && node.Leaving).Distinct()];
        bool isBetter = stages > Serving.Plan.Pipelines[0].Stages.Count;
        if ((!isBetter && leaving.Length == 0) || !Retiring.IsEmpty || TriedBeside.SequenceEqual(Present()))
        {
            return this;
        }

        int fewest = leaving.Length == 0 ? stages : Spec.Ranges?.Count ?? 1;
        string? problem = null;
        for (int count = stages; count >= fewest && count > 0; count--)
        {
            PlanResult result = MakePlan(count, reclaimed: null);
            if (result.Plan is not null)
            {
                return Build(result.Plan, effects);
            }

            problem = result.Problem;
        }

        effects.AddRange(leaving.Select(name => new DeploymentEffect.Tell(name, new NodeCommands.LeaveNow(Spec.Tenant, problem ?? "no other node is up"))));
        return this with { TriedBeside = Present() };
    }

    private PlanResult MakePlan(int stages, DeploymentId? reclaimed)
    {
        // Nodes on one machine share its cores and memory; what their measurements differ by is chance.
        Dictionary<string, long> speeds = Available.GroupBy(node => node.Link.Host, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Max(node => node.BytesPerSecond), StringComparer.Ordinal);
        return Planner.Make(new PlanRequest(
            Model!.Cost, [.. Available.Select(node => node.Capacity(reclaimed, speeds[node.Link.Host]))], stages, Spec.Ranges));
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
