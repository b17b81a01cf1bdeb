using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Quotas;

namespace Lamina.Cli.Access;

/// <summary>Tenants and keys of an installation, reached through its database or through a coordinator's admin listener.</summary>
internal interface IAccessAdmin : IDisposable
{
    Task<IReadOnlyList<Tenant>> ListTenantsAsync(CancellationToken cancellation);

    Task<Tenant> AddTenantAsync(TenantId tenant, CancellationToken cancellation);

    Task<Tenant> RemoveTenantAsync(TenantId tenant, CancellationToken cancellation);

    /// <param name="tenant">Null lists all, operators' included.</param>
    Task<IReadOnlyList<ApiKey>> ListKeysAsync(TenantId? tenant, CancellationToken cancellation);

    /// <param name="tenant">Null makes an operator's key.</param>
    Task<NewKey> CreateKeyAsync(TenantId? tenant, string name, KeyScopes scopes, TimeSpan? lifetime, CancellationToken cancellation);

    Task<NewKey> RotateKeyAsync(string key, TimeSpan overlap, CancellationToken cancellation);

    Task<ApiKey> RevokeKeyAsync(string key, CancellationToken cancellation);

    /// <summary>Suspends, or only looks whom it would hit; who that is as text where it is known.</summary>
    Task<string?> SuspendAsync(Suspension suspension, bool preview, CancellationToken cancellation);

    /// <param name="tenant">Of a node.</param>
    Task LiftAsync(SuspensionKind kind, string name, TenantId? tenant, CancellationToken cancellation);

    Task<IReadOnlyList<Suspension>> ListSuspensionsAsync(CancellationToken cancellation);

    /// <summary>A tenant's rules as JSON.</summary>
    Task<string> ReadQuotasAsync(TenantId tenant, CancellationToken cancellation);

    /// <param name="rules">Null removes them.</param>
    Task SetQuotasAsync(TenantId tenant, string key, QuotaRules? rules, CancellationToken cancellation);
}
