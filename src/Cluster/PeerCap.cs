namespace Lamina.Cluster;

/// <summary>Counts what each authenticated peer has open, against a limit: a member of the cell may not take the process's threads and memory, which other cells share.</summary>
internal sealed class PeerCap<TPeer>(int limit)
    where TPeer : notnull
{
    private readonly Lock _lock = new();
    private readonly Dictionary<TPeer, int> _open = [];

    public bool TryEnter(TPeer peer)
    {
        lock (_lock)
        {
            int current = _open.GetValueOrDefault(peer);
            if (current >= limit)
            {
                return false;
            }

            _open[peer] = current + 1;
            return true;
        }
    }

    public void Leave(TPeer peer)
    {
        lock (_lock)
        {
            if (--_open[peer] == 0)
            {
                _open.Remove(peer);
            }
        }
    }
}
