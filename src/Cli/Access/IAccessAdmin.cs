using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;

namespace Lamina.Cli.Access;

/// <summary>Tenants and keys of an installation, reached through its database or through a coordinator's admin listener.</summary>
internal interface IAccessAdmin : IDisposable
{
    Task<IReadOnlyList<Tenant>> ListTenantsAsync(CancellationToken cancellation);

    Task<Tenant> AddTenantAsync(TenantId tenant, CancellationToken cancellation);

    Task<Tenant> SuspendTenantAsync(TenantId tenant, CancellationToken cancellation);

    Task<Tenant> ResumeTenantAsync(TenantId tenant, CancellationToken cancellation);

    Task<Tenant> RemoveTenantAsync(TenantId tenant, CancellationToken cancellation);

    /// <param name="tenant">Null lists all, operators' included.</param>
    Task<IReadOnlyList<ApiKey>> ListKeysAsync(TenantId? tenant, CancellationToken cancellation);

    /// <param name="tenant">Null makes an operator's key.</param>
    Task<NewKey> CreateKeyAsync(TenantId? tenant, string name, KeyScopes scopes, TimeSpan? lifetime, CancellationToken cancellation);

    Task<NewKey> RotateKeyAsync(string key, TimeSpan overlap, CancellationToken cancellation);

    Task<ApiKey> RevokeKeyAsync(string key, CancellationToken cancellation);
}
