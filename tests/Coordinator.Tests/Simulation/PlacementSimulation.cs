using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>
/// A large cluster in virtual time: nodes of a few kinds are lost and come back, and every model that loses a stage is planned anew on what is free then. What each node holds is
/// counted here, apart from the planner.
/// </summary>
internal sealed class PlacementSimulation
{
    private readonly Random _random;
    private readonly VirtualTime _time;
    private readonly Machine[] _machines;
    private readonly Deployed[] _models;
    private readonly Dictionary<string, Machine> _byName;

    private sealed class Machine(NodeName name, long memoryBytes, long bytesPerSecond)
    {
        public NodeName Name => name;
        public long MemoryBytes => memoryBytes;
        public long BytesPerSecond => bytesPerSecond;
        public bool Up { get; set; } = true;
        public long UsedBytes { get; set; }
    }

    private sealed class Deployed(ModelCost cost, int stages)
    {
        public ModelCost Cost => cost;
        public int Stages => stages;
        public List<(Machine Machine, long Bytes)> Held { get; } = [];
    }

    /// <param name="planted">Plants a bug: the planner is told that what stages hold is free.</param>
    public PlacementSimulation(int seed, int machines, int models, bool planted = false)
    {
        _random = new Random(seed);
        _time = new VirtualTime(_random);
        Planted = planted;

        // Four kinds of machines, as bought at four times; 100 MB to 800 MB, faster with size.
        _machines = [.. Enumerable.Range(0, machines).Select(i => new Machine(new NodeName($"n{i:0000}"), 100_000_000L << _random.Next(4), 4_000_000_000L << _random.Next(3)))];
        _byName = _machines.ToDictionary(machine => machine.Name.Value);
        _models = [.. Enumerable.Range(0, models).Select(_ =>
        {
            int layers = _random.Next(4, 33);
            return new Deployed(
                new ModelCost
                {
                    LayerBytes = [.. Enumerable.Repeat((long)_random.Next(5_000_000, 30_000_000), layers)], EmbeddingBytes = _random.Next(1_000_000, 20_000_000), OutputBytes = _random.Next(1_000_000, 20_000_000),
                    KvBlockBytes = [.. Enumerable.Repeat(20_000L, layers)], RowBytes = 8192, ContextLength = 1024,
                },
                Math.Min(layers, _random.Next(3, 9)));
        })];
    }

    private bool Planted { get; }

    public int Losses { get; private set; }

    public int Plans { get; private set; }

    /// <summary>Largest share of the machines that were down at a time.</summary>
    public double MostDown { get; private set; }

    /// <summary>Null when every model always found its place and no machine held more than it has.</summary>
    public string? Run(int losses)
    {
        string? wrong = null;
        foreach (Deployed model in _models)
        {
            wrong ??= Place(model);
        }

        for (int i = 0; i < losses; i++)
        {
            _time.After(0, 86_400, () => wrong ??= Lose());
        }

        _time.RunUntil(() => wrong is not null, limit: 1e9);
        return wrong;
    }

    /// <summary>One that holds something, three times in four: the others change nothing.</summary>
    private string? Lose()
    {
        Machine[] up = [.. _machines.Where(machine => machine.Up && (machine.UsedBytes > 0 || _random.Next(4) == 0))];
        Machine lost = up[_random.Next(up.Length)];
        lost.Up = false;
        Losses++;
        MostDown = Math.Max(MostDown, _machines.Count(machine => !machine.Up) / (double)_machines.Length);
        _time.After(600, 40_000, () => lost.Up = true);
        foreach (Deployed model in _models.Where(model => model.Held.Exists(held => held.Machine == lost)))
        {
            foreach ((Machine machine, long bytes) in model.Held)
            {
                machine.UsedBytes -= bytes;
            }

            model.Held.Clear();
            if (Place(model) is { } wrong)
            {
                return wrong;
            }
        }

        return null;
    }

    private string? Place(Deployed model)
    {
        Plans++;
        NodeCapacity[] free = [.. _machines.Where(machine => machine.Up).Select(machine => new NodeCapacity(machine.Name, machine.MemoryBytes - (Planted ? 0 : machine.UsedBytes), machine.BytesPerSecond))];
        PlanResult result = Planner.Make(new PlanRequest(model.Cost, free, model.Stages));
        if (result.Plan is not { } plan)
        {
            return $"a model was not placed: {result.Problem![..Math.Min(200, result.Problem!.Length)]}";
        }

        foreach (StagePlan stage in plan.Pipelines[0].Stages)
        {
            // Weights, a sixteenth of them for repacking and workspace, and the cache that was planned.
            long bytes = model.Cost.WeightBytes(stage.Layers) * 17 / 16 + (model.Cost.KvBytesPerBlock(stage.Layers) * plan.KvBlocks);
            Machine machine = _byName[stage.Node.Value];
            machine.UsedBytes += bytes;
            model.Held.Add((machine, bytes));
            if (machine.UsedBytes > machine.MemoryBytes || !machine.Up)
            {
                return $"{machine.Name} holds {machine.UsedBytes} of {machine.MemoryBytes} bytes{(machine.Up ? "" : " and is down")}";
            }
        }

        int layers = plan.Pipelines[0].Stages.Sum(stage => stage.Layers.Count);
        return layers == model.Cost.LayerCount ? null : $"{layers} of {model.Cost.LayerCount} layers were placed";
    }
}
