using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

internal enum BodyRoom
{
    Taken,

    /// <summary>The tenant's other requests take what it may.</summary>
    TenantFull,

    /// <summary>The requests of all tenants together do.</summary>
    Full,
}

/// <summary>
/// The memory that bodies of requests take, from their first bytes until they are parsed: of each tenant and of all together. It is taken as bytes arrive, not by what a header announces.
/// Thread-safe.
/// </summary>
internal sealed class BodyBudget(long bytes = 256 << 20, long perTenant = 64 << 20)
{
    /// <summary>Bytes of each body that are not counted: connections are, and a tenant's large bodies leave its small ones alone.</summary>
    public const int Uncounted = 16 << 10;

    private readonly Lock _lock = new();
    private readonly Dictionary<TenantId, long> _tenants = [];
    private long _used;

    public long Used
    {
        get
        {
            lock (_lock)
            {
                return _used;
            }
        }
    }

    /// <summary>Takes room for a body that grows.</summary>
    public BodyRoom Grow(TenantId tenant, int from, int to)
    {
        long more = Counted(to) - Counted(from);
        lock (_lock)
        {
            long own = _tenants.GetValueOrDefault(tenant);
            if (more > 0 && own + more > perTenant)
            {
                return BodyRoom.TenantFull;
            }

            if (more > 0 && _used + more > bytes)
            {
                return BodyRoom.Full;
            }

            Set(tenant, own + more);
            _used += more;
            return BodyRoom.Taken;
        }
    }

    public void Return(TenantId tenant, int size)
    {
        lock (_lock)
        {
            Set(tenant, _tenants.GetValueOrDefault(tenant) - Counted(size));
            _used -= Counted(size);
        }
    }

    private static long Counted(int size) => Math.Max(0, size - Uncounted);

    private void Set(TenantId tenant, long own)
    {
        if (own == 0)
        {
            _tenants.Remove(tenant);
        }
        else
        {
            _tenants[tenant] = own;
        }
    }
}
