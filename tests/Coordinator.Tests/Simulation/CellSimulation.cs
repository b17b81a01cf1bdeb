using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>Bugs that the simulation must notice, or it would notice nothing.</summary>
internal enum Planted { None, SamplingKnowsThePipeline, ResumptionDropsAToken, LossesAreNotProbed, StaleStagesStay, TokensTwice, EpochsUnchecked }

/// <summary>
/// A cell in virtual time: the deployment's and the generations' own state, driven by made-up nodes and a made-up network that lose what the seed says. Faults end after a
/// while; then every stream must end with each token once, and no node may hold a stage that does not serve.
/// </summary>
internal sealed partial class CellSimulation
{
    private const double FaultsEnd = 40;
    private const double Limit = 400;

    public static readonly TenantId Tenant = new("acme");
    private static readonly DeploymentId s_id = new("tiny");

    private readonly Random _random;
    private readonly VirtualTime _time;
    private readonly Planted _planted;
    private readonly SimulatedNode[] _nodes;
    private readonly SortedDictionary<string, NodeView> _known = new(StringComparer.Ordinal);
    private DeploymentState _state;
    private double _lastMove;
    private bool _ownerless;

    public CellSimulation(int seed, Planted planted = Planted.None)
    {
        _random = new Random(seed);
        _time = new VirtualTime(_random);
        _planted = planted;
        _nodes = [.. Enumerable.Range(0, _random.Next(1, 6)).Select(i => new SimulatedNode($"n{i}"))];
        _state = DeploymentState.Begin(new DeploymentSpec(Tenant, s_id, _random.Next(1, _nodes.Length + 1), null, 0, Pipelines: _random.Next(1, 4), Spares: _random.Next(2)));
        _streams = [.. Enumerable.Range(1, _random.Next(1, 6)).Select(number => new SimulatedStream(number, _random.Next(1, 200), twice: planted == Planted.TokensTwice))];
    }

    /// <summary>Epochs that it took.</summary>
    public int Epochs => _state.LastEpoch;

    /// <summary>Times that another coordinator went on with the plan.</summary>
    public int Owners { get; private set; }

    /// <summary>Null when all went as promised, else what did not.</summary>
    public string? Run()
    {
        Apply(new DeploymentEvent.ModelImported(new ModelFacts(
            "sha256-0",
            new ModelCost { LayerBytes = [.. Enumerable.Repeat(1000L, 6)], EmbeddingBytes = 0, OutputBytes = 0, KvBlockBytes = [.. Enumerable.Repeat(8L, 6)], RowBytes = 8, ContextLength = 32 },
            [])));
        DescribeOften();
        CheckStallOften();
        _time.After(1, 3, FaultOften);
        foreach (SimulatedStream stream in _streams)
        {
            _time.After(0, 20, () => Advance(stream));
        }

        if (!_time.RunUntil(() => _streams.All(stream => stream.Outcome is not null || stream.Wrong is not null), Limit))
        {
            return $"{_streams.Count(stream => stream.Outcome is null)} streams have not ended: {_state.Phase}, {_state.Problem}";
        }

        foreach (SimulatedStream stream in _streams.Where(stream => stream.Wrong is not null || stream.Outcome != GenerationOutcome.Length || !stream.IsWhole))
        {
            return $"stream {stream.Submit.Generation.Low}: {stream.Wrong ?? $"ended as {stream.Outcome}"}";
        }

        double quiet = Math.Max(_time.Now, FaultsEnd) + 60;
        _time.RunUntil(() => _time.Now > quiet, Limit);
        string? stray = _nodes.SelectMany(node => node.Stages.Keys.Where(stage => !_state.Standing.Exists(standing => standing.Epoch == stage.Epoch)).Select(stage => $"{node.Name} still holds {stage}")).FirstOrDefault();
        return stray ?? (_state.Phase == DeploymentPhase.Ready ? null : $"quiet, and yet {_state.Phase}: {_state.Problem}");
    }

    private void Apply(DeploymentEvent happened)
    {
        if (_ownerless)
        {
            return;
        }

        (_state, IReadOnlyList<DeploymentEffect> effects) = _state.Apply(happened);
        _lastMove = happened is DeploymentEvent.NodesSeen ? _lastMove : _time.Now;
        foreach (DeploymentEffect effect in effects)
        {
            Do(effect);
        }
    }

    /// <summary>
    /// The owner's coordinator dies, and a while later another goes on with what was shown last. What was told to the dead owner is lost; streams are another coordinator's.
    /// </summary>
    private void LoseOwner()
    {
        if (_ownerless || _state.Model is null)
        {
            return;
        }

        DeploymentProtocol.DeploymentShown shown = DeploymentWire.Shown(_state, new DeploymentSettings(_state.Spec.Nodes, null, 0, 0, 0, "f16", [], _state.Spec.Pipelines, _state.Spec.Spares), "front", null, []);
        ModelFacts model = _state.Model;
        _ownerless = true;
        _time.After(0.5, 15, () =>
        {
            _ownerless = false;
            Owners++;
            _state = DeploymentWire.Resume(Wire.Decode<DeploymentProtocol.DeploymentShown>(Wire.Encode(shown).AsMemory()));
            foreach (EpochState serving in _state.Standing)
            {
                Do(new DeploymentEffect.OpenHeads(serving.Epoch, [.. serving.Heads]));
            }

            foreach (EpochState retiring in _state.Retiring)
            {
                Do(new DeploymentEffect.Drain(retiring.Epoch));
            }

            Apply(new DeploymentEvent.ModelImported(model));
            Apply(new DeploymentEvent.NodesSeen([.. _known.Values]));
        });
    }

    private void Do(DeploymentEffect effect)
    {
        switch (effect)
        {
            case DeploymentEffect.Tell tell when Find(tell.Node) is { } node && _known.ContainsKey(tell.Node.Value):
                ToNode(node, () => OnCommand(node, tell.Command));
                break;
            case DeploymentEffect.OpenHeads open when _open.Contains(open.Epoch):
                _time.After(0, 0.01, () => Apply(_open.Contains(open.Epoch) ? new DeploymentEvent.HeadsOpened(open.Epoch) : new DeploymentEvent.HeadsFailed(open.Epoch, "closed")));
                break;
            case DeploymentEffect.OpenHeads open:
                _time.After(0.01, 0.3, () => Apply(Stands(open.Epoch) && _open.Add(open.Epoch)
                    ? new DeploymentEvent.HeadsOpened(open.Epoch)
                    : new DeploymentEvent.HeadsFailed(open.Epoch, "refused")));
                break;
            case DeploymentEffect.Serve serve:
                Serve(serve.Epoch);
                break;
            case DeploymentEffect.StopServing stop:
                Stop(stop.Epoch);
                break;
            case DeploymentEffect.Drain drain:
                DrainSoon(drain.Epoch, _time.Now + 60);
                break;
            case DeploymentEffect.Probe probe when _planted != Planted.LossesAreNotProbed:
                _time.At(_time.Now + probe.Delay.TotalSeconds, Probe);
                break;
        }
    }

    /// <summary>As the registry does: whoever is cut off is known at once, whoever is silent after a second.</summary>
    private void Probe()
    {
        bool silent = _nodes.Any(node => node.IsAlive && !node.Answers(_time.Now) && _known.ContainsKey(node.Name.Value));
        _time.After(silent ? 1 : 0.001, silent ? 1 : 0.05, () =>
        {
            foreach (SimulatedNode node in _nodes.Where(node => !node.Answers(_time.Now)))
            {
                Forget(node);
            }

            foreach (SimulatedNode node in _nodes.Where(node => node.Answers(_time.Now) && _known.ContainsKey(node.Name.Value)))
            {
                _known[node.Name.Value] = node.View;
            }

            Apply(new DeploymentEvent.NodesProbed([.. _known.Values]));
        });
    }

    private void DescribeOften()
    {
        foreach (SimulatedNode node in _nodes)
        {
            Describe(node);
        }

        _time.After(2, 2, DescribeOften);
    }

    private void Describe(SimulatedNode node) => ToNode(node, () =>
    {
        NodeView view = node.View;
        bool known = _known.TryGetValue(node.Name.Value, out NodeView? old) && old.IsSameToPlans(view);
        _known[node.Name.Value] = view;
        if (!known)
        {
            Apply(new DeploymentEvent.NodesSeen([.. _known.Values]));
        }
    });

    private void CheckStallOften()
    {
        if (_state.Building is { } building && _time.Now - _lastMove > 120)
        {
            Apply(new DeploymentEvent.Stalled(building.Epoch));
        }

        Apply(new DeploymentEvent.NodesSeen([.. _known.Values]));
        _time.After(5, 5, CheckStallOften);
    }

    private void Forget(SimulatedNode node)
    {
        if (_known.Remove(node.Name.Value))
        {
            Apply(new DeploymentEvent.NodesSeen([.. _known.Values]));
        }
    }

    private SimulatedNode? Find(NodeName name) => _nodes.FirstOrDefault(node => node.Name == name);
}
