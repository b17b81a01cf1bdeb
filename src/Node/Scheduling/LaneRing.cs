using Lamina.Compute.Model;

namespace Lamina.Node.Scheduling;

/// <summary>
/// Deficit round robin over the lanes that have sequences, in rows, which is the pipeline's time. A lane's turn lasts for a quantum of rows times its weight. While two lanes want
/// rows, neither gets more than one quantum (times its weight) ahead of its share. Who has nothing to do saves nothing up.
/// </summary>
internal sealed class LaneRing
{
    /// <summary>Rows of a turn at weight 1: enough that reading the weights pays.</summary>
    public const int Quantum = KvCache.BlockPositions;

    private readonly List<Lane> _lanes = [];
    private readonly Dictionary<ulong, Lane> _byId = [];
    private int _turn;

    public int Count => _lanes.Count;

    public Lane this[int index] => _lanes[index];

    /// <summary>Weights of all lanes that have sequences.</summary>
    public long TotalWeight { get; private set; }

    public Lane? Find(ulong id) => _byId.GetValueOrDefault(id);

    /// <summary>The lane of that id; a new one begins level with whoever has waited longest.</summary>
    public Lane Enter(ulong id, int weight)
    {
        if (!_byId.TryGetValue(id, out Lane? lane))
        {
            lane = new Lane(id, weight) { Balance = _lanes.Count == 0 ? 0 : long.MinValue };
            foreach (Lane other in _lanes)
            {
                lane.Balance = Math.Max(lane.Balance, other.Balance);
            }

            _lanes.Add(lane);
            _byId.Add(id, lane);
            TotalWeight += weight;
        }

        TotalWeight += weight - lane.Weight;
        lane.Weight = weight;
        return lane;
    }

    public void LeaveIfIdle(Lane lane)
    {
        if (lane.IsIdle && _byId.Remove(lane.Id))
        {
            int index = _lanes.IndexOf(lane);
            _lanes.RemoveAt(index);
            _turn -= index < _turn ? 1 : 0;
            TotalWeight -= lane.Weight;
        }
    }

    public void ClearWants()
    {
        for (int i = 0; i < _lanes.Count; i++)
        {
            _lanes[i].Wants = false;
        }
    }

    /// <summary>The wanting lane whose turn it is, with a balance above zero; null when none wants anything.</summary>
    public Lane? Next() => Find() ?? (TopUp() ? Find() : null);

    /// <summary>Rows that the lane has got. A turn ends when nothing is left of it.</summary>
    public void Charge(Lane lane, int rows)
    {
        lane.Balance -= rows;
        if (lane.Balance <= 0 && _turn < _lanes.Count && _lanes[_turn] == lane)
        {
            _turn++;
        }
    }

    private Lane? Find()
    {
        for (int i = 0; i < _lanes.Count; i++)
        {
            int index = (_turn + i) % _lanes.Count;
            if (_lanes[index] is { Wants: true, Balance: > 0 } lane)
            {
                _turn = index;
                return lane;
            }
        }

        return null;
    }

    /// <summary>As many rounds at once as it takes until one of those who want has something again.</summary>
    private bool TopUp()
    {
        long rounds = long.MaxValue;
        for (int i = 0; i < _lanes.Count; i++)
        {
            Lane lane = _lanes[i];
            rounds = lane.Wants ? Math.Min(rounds, (-lane.Balance / TurnOf(lane)) + 1) : rounds;
        }

        for (int i = 0; i < _lanes.Count && rounds < long.MaxValue; i++)
        {
            Lane lane = _lanes[i];
            lane.Balance = Math.Min(lane.Balance + (rounds * TurnOf(lane)), TurnOf(lane));
        }

        return rounds < long.MaxValue;
    }

    private static long TurnOf(Lane lane) => (long)Quantum * lane.Weight;
}
