using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;

namespace Lamina.Cli.Access;

/// <summary>Works on the database itself; a coordinator that runs on it notices within a second.</summary>
internal sealed class DatabaseAccess(StateDatabase state) : IAccessAdmin
{
    private readonly KeyStore _keys = new(state, TimeProvider.System);
    private readonly TenantStore _tenants = new(state, TimeProvider.System);

    public Task<IReadOnlyList<Tenant>> ListTenantsAsync(CancellationToken cancellation) => _tenants.ListAsync(cancellation);

    public Task<Tenant> AddTenantAsync(TenantId tenant, CancellationToken cancellation) => _tenants.AddAsync(tenant, cancellation);

    public Task<Tenant> RemoveTenantAsync(TenantId tenant, CancellationToken cancellation) => _tenants.RemoveAsync(tenant, cancellation);

    public Task<IReadOnlyList<ApiKey>> ListKeysAsync(TenantId? tenant, CancellationToken cancellation) => _keys.ListAsync(tenant, cancellation);

    public Task<NewKey> CreateKeyAsync(TenantId? tenant, string name, KeyScopes scopes, TimeSpan? lifetime, CancellationToken cancellation) =>
        _keys.CreateAsync(tenant, name, scopes, lifetime, cancellation);

    public Task<NewKey> RotateKeyAsync(string key, TimeSpan overlap, CancellationToken cancellation) => _keys.RotateAsync(key, overlap, null, cancellation);

    public Task<ApiKey> RevokeKeyAsync(string key, CancellationToken cancellation) => _keys.RevokeAsync(key, null, cancellation);

    public async Task<string?> SuspendAsync(Suspension suspension, bool preview, CancellationToken cancellation)
    {
        if (preview)
        {
            throw new CommandException("only a running coordinator knows who is affected: ask it with --url");
        }

        await new SuspensionStore(state).SuspendAsync(suspension, cancellation);
        return null;
    }

    public async Task LiftAsync(SuspensionKind kind, string name, TenantId? tenant, CancellationToken cancellation)
    {
        if (!await new SuspensionStore(state).LiftAsync(kind, name, tenant, cancellation))
        {
            throw new CommandException($"the {kind.ToString().ToLowerInvariant()} {name} is not suspended");
        }
    }

    public Task<IReadOnlyList<Suspension>> ListSuspensionsAsync(CancellationToken cancellation) => new SuspensionStore(state).ListAsync(cancellation);

    public async Task<string> ReadQuotasAsync(TenantId tenant, CancellationToken cancellation) =>
        JsonSerializer.Serialize((await new QuotaStore(state).ReadAsync(cancellation)).GetValueOrDefault(tenant, TenantQuotas.Unlimited), QuotaStore.Json);

    public Task SetQuotasAsync(TenantId tenant, string key, QuotaRules? rules, CancellationToken cancellation) => new QuotaStore(state).SetAsync(tenant, key, rules, cancellation);

    public void Dispose()
    {
        // The database holds nothing open between two pieces of work.
    }
}
