namespace Lamina.Coordinator.Generations;

/// <summary>
/// Places of a deployment, shared by lanes: each may have as many as leave the others that are there, and one that is yet to come, as many. So no lane fills them up for all. Thread-safe.
/// </summary>
internal sealed class LanePlaces(int places)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, int> _held = [];
    private int _all;

    public int Held => Volatile.Read(ref _all);

    public bool TryTake(ulong lane)
    {
        lock (_lock)
        {
            int own = _held.GetValueOrDefault(lane);
            int lanes = _held.Count + (own == 0 ? 1 : 0);
            if (_all >= places || own >= Math.Max(1, places / (lanes + 1)))
            {
                return false;
            }

            _held[lane] = own + 1;
            _all++;
            return true;
        }
    }

    public void Return(ulong lane)
    {
        lock (_lock)
        {
            _all--;
            if (--_held[lane] == 0)
            {
                _held.Remove(lane);
            }
        }
    }
}
