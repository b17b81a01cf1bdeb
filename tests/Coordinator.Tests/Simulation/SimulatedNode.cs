using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>A node's stages as its actors keep them, without computing anything.</summary>
internal sealed class SimulatedNode(string name)
{
    public NodeName Name { get; } = new(name);

    public int Process { get; set; } = 1;

    public bool IsAlive { get; set; } = true;

    /// <summary>Stands still until then; what arrives meanwhile waits.</summary>
    public double PausedUntil { get; set; }

    /// <summary>It was asked to end and waits until it holds nothing.</summary>
    public bool IsLeaving { get; set; }

    public Dictionary<StageAddress, StagePhase> Stages { get; } = [];

    public int NewestEpoch { get; set; }

    /// <summary>When the last command and the last report arrive: Akka keeps the order between two actors.</summary>
    public double LastCommand { get; set; }
    public double LastReport { get; set; }

    public NodeView View => new(
        Name, new Endpoint(Name.Value, Process), Process, "1", 2, 1 << 20, 0, 1000, [.. Stages.Select(stage => new StageStatus(stage.Key, stage.Value, 0, 1, 0, 0))], IsLeaving);

    public bool Answers(double now) => IsAlive && PausedUntil <= now;

    public void Restart()
    {
        (Process, IsAlive, PausedUntil, NewestEpoch, IsLeaving) = (Process + 1, true, 0, 0, false);
        Stages.Clear();
    }
}
