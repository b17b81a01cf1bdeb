using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>
/// Finds the best layout of a chain of layers on a number of nodes: exact dynamic programming over (which nodes are used, next layer). Nodes that are alike in
/// every figure form a class and are counted instead of enumerated, which keeps a cell of equal machines cheap.
/// Two passes: the first finds the least possible slowest stage, the second the least latency and unevenness among layouts that reach it; one pass over the
/// tuple would be wrong, because a prefix with a worse maximum may still belong to the best whole.
/// </summary>
internal sealed class LayoutSearch
{
    private readonly ModelCost _model;
    private readonly StageCosts _costs;
    private readonly int _stages;
    private readonly bool[]? _allowedEnds;
    private readonly NodeCapacity[][] _classes;
    private readonly int[] _strides;
    private readonly int _states;
    private readonly PlanObjective _objective;

    /// <param name="ranges">When given, stages end only where these do.</param>
    public LayoutSearch(ModelCost model, IReadOnlyList<NodeCapacity> nodes, int stages, IReadOnlyList<LayerRange>? ranges, PlanObjective objective = PlanObjective.Throughput)
    {
        _objective = objective;
        _model = model;
        _stages = stages;
        _costs = new StageCosts(model, stages > 1);
        if (ranges is not null)
        {
            _allowedEnds = new bool[model.LayerCount + 1];
            foreach (LayerRange range in ranges)
            {
                _allowedEnds[range.End] = true;
            }
        }

        _classes = [.. nodes
            .OrderBy(node => node.Name.Value, StringComparer.Ordinal)
            .GroupBy(node => (node.FreeBytes, node.BytesPerSecond, node.LinkSeconds, node.LinkBytesPerSecond))
            .Select(group => group.Take(stages).ToArray())];
        _strides = new int[_classes.Length];
        int states = 1;
        for (int c = 0; c < _classes.Length; c++)
        {
            _strides[c] = states;
            states = checked(states * (_classes[c].Length + 1));
        }

        _states = states;
    }

    /// <summary>Steps that a search over such nodes takes, for the caller to bound.</summary>
    public static double Effort(ModelCost model, IReadOnlyList<NodeCapacity> nodes, int stages)
    {
        var classes = nodes.GroupBy(node => (node.FreeBytes, node.BytesPerSecond, node.LinkSeconds, node.LinkBytesPerSecond)).ToList();
        double states = classes.Aggregate(1.0, (product, group) => product * (Math.Min(group.Count(), stages) + 1));
        return states * classes.Count * model.LayerCount * model.LayerCount;
    }

    /// <summary>The stages in order, or null when no layout fits.</summary>
    public IReadOnlyList<(NodeCapacity Node, LayerRange Layers)>? Run(out LayoutCost cost)
    {
        // Without a bound on the slowest stage, the second pass finds the least latency.
        long slowest = _objective == PlanObjective.Latency ? long.MaxValue : LeastSlowest();
        cost = default;
        return slowest == long.MaxValue && _objective == PlanObjective.Throughput ? null : Cheapest(slowest, out cost);
    }

    private long LeastSlowest()
    {
        int layers = _model.LayerCount;
        long[] best = new long[_states * (layers + 1)];
        Array.Fill(best, long.MaxValue);
        best[0] = 0;
        long result = long.MaxValue;
        for (int state = 0; state < _states; state++)
        {
            int used = Used(state);
            for (int first = 0; first < layers && used < _stages; first++)
            {
                long reached = best[(state * (layers + 1)) + first];
                if (reached == long.MaxValue)
                {
                    continue;
                }

                foreach ((int c, int end, long busy) in Choices(state, used, first, result))
                {
                    ref long next = ref best[((state + _strides[c]) * (layers + 1)) + end];
                    next = Math.Min(next, Math.Max(reached, busy));
                }
            }

            if (used == _stages)
            {
                result = Math.Min(result, best[(state * (layers + 1)) + layers]);
            }
        }

        return result;
    }

    private List<(NodeCapacity Node, LayerRange Layers)>? Cheapest(long slowest, out LayoutCost cost)
    {
        // Costs to go, filled from the last state back: choosing a node leads to a higher state.
        int layers = _model.LayerCount;
        var toGo = new (long Latency, UInt128 Unevenness)[_states * (layers + 1)];
        Array.Fill(toGo, (long.MaxValue, UInt128.MaxValue));
        for (int state = _states - 1; state >= 0; state--)
        {
            int used = Used(state);
            if (used >= _stages)
            {
                toGo[(state * (layers + 1)) + layers] = used == _stages ? (0, 0) : toGo[(state * (layers + 1)) + layers];
                continue;
            }

            for (int first = 0; first < layers; first++)
            {
                ref (long, UInt128) best = ref toGo[(state * (layers + 1)) + first];
                foreach ((int c, int end, long busy) in Choices(state, used, first, slowest))
                {
                    (long, UInt128) candidate = Through(toGo, state, c, end, busy);
                    if (candidate.CompareTo(best) < 0)
                    {
                        best = candidate;
                    }
                }
            }
        }

        cost = new LayoutCost(slowest, toGo[0].Latency, toGo[0].Unevenness);
        if (toGo[0].Latency == long.MaxValue)
        {
            return null;
        }

        var stages = new List<(NodeCapacity, LayerRange)>(_stages);
        for ((int state, int first) = (0, 0); first < layers;)
        {
            // The first choice that keeps the optimum: classes in order of their names, then the shortest range.
            (int c, int end, _) = Choices(state, Used(state), first, slowest)
                .First(choice => Through(toGo, state, choice.Class, choice.End, choice.Busy).Equals(toGo[(state * (layers + 1)) + first]));
            stages.Add((_classes[c][CountOf(state, c)], new LayerRange(first, end)));
            (state, first) = (state + _strides[c], end);
        }

        cost = cost with { Slowest = stages.Max(stage => _costs.BusyTime(stage.Item2, stage.Item1)) };
        return stages;
    }

    private (long Latency, UInt128 Unevenness) Through((long Latency, UInt128 Unevenness)[] toGo, int state, int c, int end, long busy)
    {
        (long latency, UInt128 unevenness) = toGo[((state + _strides[c]) * (_model.LayerCount + 1)) + end];
        return latency == long.MaxValue
            ? (latency, unevenness)
            : (latency + busy + _costs.HopTime(_classes[c][0]), unevenness + ((UInt128)busy * (UInt128)busy));
    }

    /// <summary>Ways to place the next stage at layer <paramref name="first"/>, none busier than <paramref name="limit"/>.</summary>
    private IEnumerable<(int Class, int End, long Busy)> Choices(int state, int used, int first, long limit)
    {
        int layers = _model.LayerCount;
        int stagesAfter = _stages - used - 1;
        for (int c = 0; c < _classes.Length; c++)
        {
            if (CountOf(state, c) == _classes[c].Length)
            {
                continue;
            }

            int lastEnd = layers - stagesAfter;
            for (int end = stagesAfter == 0 ? layers : first + 1; end <= lastEnd; end++)
            {
                var range = new LayerRange(first, end);
                if (_allowedEnds is not null && (!_allowedEnds[end] || SkipsEnd(first, end)))
                {
                    continue;
                }

                long busy = _costs.BusyTime(range, _classes[c][0]);
                if (busy > limit || !_costs.Fits(range, _classes[c][0]))
                {
                    break;
                }

                yield return (c, end, busy);
            }
        }
    }

    private bool SkipsEnd(int first, int end)
    {
        for (int e = first + 1; e < end; e++)
        {
            if (_allowedEnds![e])
            {
                return true;
            }
        }

        return false;
    }

    private int CountOf(int state, int c) => state / _strides[c] % (_classes[c].Length + 1);

    private int Used(int state)
    {
        int used = 0;
        for (int c = 0; c < _classes.Length; c++)
        {
            used += CountOf(state, c);
        }

        return used;
    }
}
