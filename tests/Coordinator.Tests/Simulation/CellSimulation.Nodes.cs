using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>The nodes' side, and the faults.</summary>
internal sealed partial class CellSimulation
{
    private void FaultOften()
    {
        if (_time.Now > FaultsEnd)
        {
            return;
        }

        SimulatedNode node = _nodes[_random.Next(_nodes.Length)];
        switch (_random.Next(7))
        {
            case 0 or 1 when node.IsAlive:
                Kill(node);
                break;
            case 2 when node.Answers(_time.Now):
                Pause(node, 0.1 + (_random.NextDouble() * 8));
                break;
            case 3 when _state.Standing is { IsEmpty: false } standing:
                BreakPipeline(standing[_random.Next(standing.Count)].Epoch);
                break;
            case 4 when _open.Count > 0:
                CloseHead(_open.Max());
                break;
            case 5:
                LoseOwner();
                break;
            case 6 when node.Answers(_time.Now) && !node.IsLeaving:
                Leave(node);
                break;
        }

        _time.After(0.1, 8, FaultOften);
    }

    private void Kill(SimulatedNode node)
    {
        node.IsAlive = false;
        foreach (int epoch in node.Stages.Keys.Select(stage => stage.Epoch).Distinct().ToArray())
        {
            _time.After(0.001, 0.02, () => BreakPipeline(epoch));
        }

        int process = node.Process;
        _time.After(3, 8, () =>
        {
            if (node.Process == process)
            {
                Forget(node);
            }
        });
        _time.After(0.5, 12, node.Restart);
    }

    /// <summary>Asked to end: it says so, ends once it holds nothing or is told to go, and is started again.</summary>
    private void Leave(SimulatedNode node)
    {
        node.IsLeaving = true;
        int process = node.Process;
        double until = _time.Now + 25;
        Describe(node);
        void Check() => RunOn(node, process, () =>
        {
            if (node.Stages.Count == 0 || _time.Now > until)
            {
                End(node);
            }
            else
            {
                _time.After(0.1, 0.1, Check);
            }
        });
        _time.After(0.1, 0.1, Check);
    }

    private void End(SimulatedNode node)
    {
        Kill(node);
        _time.After(0.01, 0.5, () => Forget(node));
    }

    /// <summary>Neighbours notice after the links' silence limit, the cluster a little later; the node itself learns of it when it goes on.</summary>
    private void Pause(SimulatedNode node, double seconds)
    {
        node.PausedUntil = _time.Now + seconds;
        int[] epochs = [.. node.Stages.Keys.Select(stage => stage.Epoch).Distinct()];
        _time.After(2.5, 2.6, () =>
        {
            if (node.PausedUntil > _time.Now)
            {
                foreach (int epoch in epochs)
                {
                    BreakPipeline(epoch);
                }
            }
        });
        _time.After(3, 4, () =>
        {
            if (node.PausedUntil > _time.Now)
            {
                Forget(node);
            }
        });
    }

    /// <summary>Links close one after the other: every stage of the epoch fails and says so.</summary>
    private void BreakPipeline(int epoch)
    {
        foreach (SimulatedNode node in _nodes)
        {
            ToNode(node, () =>
            {
                foreach (StageAddress stage in node.Stages.Keys.Where(stage => stage.Epoch == epoch && node.Stages[stage] >= StagePhase.Loaded).ToArray())
                {
                    FailStage(node, stage, StageFailure.LinkLost);
                }
            });
        }

        _time.After(0.001, 0.05, () => CloseHead(epoch));
    }

    private void OnCommand(SimulatedNode node, IWireMessage command)
    {
        switch (command)
        {
            case NodeCommands.LoadStage load when load.Address.Epoch < node.NewestEpoch:
                Report(node, new DeploymentEvent.StageFailed(load.Address, node.Name, StageFailure.Superseded, "older"));
                break;
            case NodeCommands.LoadStage load when node.IsLeaving:
                Report(node, new DeploymentEvent.StageFailed(load.Address, node.Name, StageFailure.Refused, "leaving"));
                break;
            case NodeCommands.LeaveNow when node.IsLeaving:
                End(node);
                break;
            case NodeCommands.LoadStage load:
                node.NewestEpoch = load.Address.Epoch;
                node.Stages[load.Address] = StagePhase.Loading;
                Later(node, 0.05, 1.5, () => OnLoaded(node, load.Address));
                break;
            case NodeCommands.ConnectStage connect when !node.Stages.ContainsKey(connect.Address):
                Report(node, new DeploymentEvent.StageFailed(connect.Address, node.Name, StageFailure.NotFound, "not here"));
                break;
            case NodeCommands.ConnectStage connect:
                Later(node, 0.01, 0.3, () => OnConnected(node, connect));
                break;
            case NodeCommands.UnloadStage unload when _planted != Planted.StaleStagesStay:
                node.Stages.Remove(unload.Address);
                break;
        }
    }

    private void OnLoaded(SimulatedNode node, StageAddress stage)
    {
        if (!node.Stages.ContainsKey(stage))
        {
            return;
        }

        if (_time.Now < FaultsEnd && _random.Next(40) == 0)
        {
            FailStage(node, stage, StageFailure.NotFound);
            return;
        }

        node.Stages[stage] = StagePhase.Loaded;
        Report(node, new DeploymentEvent.StageLoaded(stage, node.Name, 10));
    }

    private void OnConnected(SimulatedNode node, NodeCommands.ConnectStage connect)
    {
        if (!node.Stages.ContainsKey(connect.Address))
        {
            return;
        }

        NodeName? name = connect.NextNode ?? connect.HeadNode;
        SimulatedNode? peer = name is { } known ? Find(known) : node;
        if (peer!.Answers(_time.Now) && peer.Stages.Keys.Any(stage => stage.Epoch == connect.Address.Epoch))
        {
            node.Stages[connect.Address] = StagePhase.Ready;
            Report(node, new DeploymentEvent.StageReady(connect.Address, node.Name));
        }
        else
        {
            FailStage(node, connect.Address, StageFailure.LinkLost);
        }
    }

    private void FailStage(SimulatedNode node, StageAddress stage, StageFailure failure)
    {
        node.Stages.Remove(stage);
        Report(node, new DeploymentEvent.StageFailed(stage, node.Name, failure, failure.ToString()));
    }

    /// <summary>True when the whole pipeline of the epoch can compute now.</summary>
    private bool Stands(int epoch)
    {
        int wanted = 0;
        foreach (EpochState state in new[] { _state.Building }.OfType<EpochState>().Concat(_state.Standing).Concat(_state.Retiring).Where(state => state.Epoch == epoch))
        {
            wanted = state.Stages.Length;
        }

        return wanted > 0 && wanted == _nodes.Where(node => node.Answers(_time.Now)).Sum(node => node.Stages.Count(stage => stage.Key.Epoch == epoch && stage.Value == StagePhase.Ready));
    }

    /// <summary>Something that takes the node a while; lost with its process, and it waits while the node stands still.</summary>
    private void Later(SimulatedNode node, double least, double most, Action action)
    {
        int process = node.Process;
        _time.After(least, most, () => RunOn(node, process, action));
    }

    private void ToNode(SimulatedNode node, Action action)
    {
        int process = node.Process;
        node.LastCommand = Math.Max(node.LastCommand, Latency());
        _time.At(node.LastCommand, () => RunOn(node, process, action));
    }

    /// <summary>A time of arrival.</summary>
    private double Latency() => _time.Now + 0.001 + (_random.NextDouble() * 0.03);

    private void RunOn(SimulatedNode node, int process, Action action)
    {
        if (!node.IsAlive || node.Process != process)
        {
            return;
        }

        if (node.PausedUntil > _time.Now)
        {
            _time.At(node.PausedUntil, () => RunOn(node, process, action));
            return;
        }

        action();
    }

    /// <summary>A report counts only if it comes from the process that is known, as in the registry.</summary>
    private void Report(SimulatedNode node, DeploymentEvent report)
    {
        int process = node.Process;
        node.LastReport = Math.Max(node.LastReport, Latency());
        _time.At(node.LastReport, () =>
        {
            if (_known.TryGetValue(node.Name.Value, out NodeView? view) && view.ProcessId == process)
            {
                Apply(report);
            }
        });
    }
}
