using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Access;

/// <summary>The tenants of the database. Whether a tenant has a cell here is the configuration's matter; its keys and settings are kept here.</summary>
public sealed class TenantStore(StateDatabase state, TimeProvider time)
{
    public Task<IReadOnlyList<Tenant>> ListAsync(CancellationToken cancellation) => state.RunAsync<IReadOnlyList<Tenant>>(
        async context => [.. (await context.Tenants.AsNoTracking().OrderBy(row => row.Id).ToArrayAsync(cancellation)).Select(TenantOf)],
        cancellation);

    public Task<Tenant> AddAsync(TenantId tenant, CancellationToken cancellation)
    {
        if (!Names.IsValid(tenant.Value))
        {
            throw new AccessChangeException($"the tenant's name is '{tenant}', expected 1 to 63 lower-case letters, digits and inner hyphens");
        }

        return AccessChange.RunAsync(
            state,
            async context =>
            {
                if (await context.Tenants.AnyAsync(row => row.Id == tenant.Value, cancellation))
                {
                    throw new AccessChangeException($"the tenant {tenant} exists already");
                }

                var row = new TenantRow { Id = tenant.Value, Created = Now };
                context.Tenants.Add(row);
                return TenantOf(row);
            },
            cancellation);
    }

    /// <summary>Adds those of the configuration that the database does not know yet.</summary>
    public async Task EnsureAsync(IReadOnlyCollection<TenantId> tenants, CancellationToken cancellation)
    {
        HashSet<TenantId> known = [.. (await ListAsync(cancellation)).Select(tenant => tenant.Id)];
        foreach (TenantId tenant in tenants.Where(tenant => !known.Contains(tenant)))
        {
            try
            {
                await AddAsync(tenant, cancellation);
            }
            catch (AccessChangeException)
            {
                // Another coordinator added it in this moment.
            }
        }
    }

    /// <summary>Ends what runs on the tenant's behalf and refuses its keys until it is resumed.</summary>
    public Task<Tenant> SuspendAsync(TenantId tenant, CancellationToken cancellation) =>
        SetAsync(tenant, context => TenantSuspension.SetAsync(context, tenant.Value, "", Now, cancellation), cancellation);

    public Task<Tenant> ResumeAsync(TenantId tenant, CancellationToken cancellation) => SetAsync(tenant, context => TenantSuspension.LiftAsync(context, tenant.Value, cancellation), cancellation);

    /// <summary>Removes a tenant with all its keys and what else hangs on it.</summary>
    public Task<Tenant> RemoveAsync(TenantId tenant, CancellationToken cancellation) => AccessChange.RunAsync(
        state,
        async context =>
        {
            TenantRow row = await RequireAsync(context, tenant, cancellation);
            await TenantSuspension.LiftAsync(context, tenant.Value, cancellation);
            context.Tenants.Remove(row);
            return TenantOf(row);
        },
        cancellation);

    internal static Tenant TenantOf(TenantRow row) => new(
        new TenantId(row.Id), DateTimeOffset.FromUnixTimeMilliseconds(row.Created), row.Suspended is { } suspended ? DateTimeOffset.FromUnixTimeMilliseconds(suspended) : null);

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();

    private Task<Tenant> SetAsync(TenantId tenant, Func<StateContext, Task> change, CancellationToken cancellation) => AccessChange.RunAsync(
        state,
        async context =>
        {
            TenantRow row = await RequireAsync(context, tenant, cancellation);
            await change(context);
            return TenantOf(row);
        },
        cancellation);

    private static async Task<TenantRow> RequireAsync(StateContext context, TenantId tenant, CancellationToken cancellation) =>
        await context.Tenants.SingleOrDefaultAsync(row => row.Id == tenant.Value, cancellation) ?? throw new AccessChangeException($"there is no tenant {tenant}") { IsNotFound = true };
}
