using System.Net;

namespace Lamina.Cluster;

/// <summary>Counts connections that have not authenticated yet, in all and of each address, against two limits.</summary>
internal sealed class ConnectionCap(int limit, int limitPerAddress)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _perAddress = [];
    private int _total;

    public bool TryEnter(IPAddress address)
    {
        lock (_lock)
        {
            int current = _perAddress.GetValueOrDefault(address);
            if (_total >= limit || current >= limitPerAddress)
            {
                return false;
            }

            _total++;
            _perAddress[address] = current + 1;
            return true;
        }
    }

    public void Leave(IPAddress address)
    {
        lock (_lock)
        {
            _total--;
            if (--_perAddress[address] == 0)
            {
                _perAddress.Remove(address);
            }
        }
    }
}
