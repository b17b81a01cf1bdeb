using Lamina.Cluster.Messages;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Admin;

/// <summary>Who administers: an operator of the installation, or a tenant's own administrator, who reaches that tenant alone.</summary>
/// <param name="Tenant">Null for an operator.</param>
/// <param name="Key">Id of the key.</param>
internal sealed record AdminCaller(TenantId? Tenant, string Key)
{
    public bool IsOperator => Tenant is null;

    public static AdminCaller Of(HttpContext context) =>
        context.Features.Get<AdminCaller>() ?? throw new InvalidOperationException("no caller was resolved before the endpoint");

    public bool MaySee(TenantId tenant) => IsOperator || Tenant == tenant;
}
