using Lamina.Coordinator.Access;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// A tenant's suspension stands in two places that are changed together, whoever asks: in the tenant's row, by which its keys are refused, and among the suspensions, with its reason.
/// </summary>
internal static class TenantSuspension
{
    /// <summary>One that is suspended already stays as it is.</summary>
    /// <param name="since">Milliseconds since 1970.</param>
    public static async Task SetAsync(StateContext context, string tenant, string reason, long since, CancellationToken cancellation)
    {
        if (await context.Tenants.SingleOrDefaultAsync(row => row.Id == tenant, cancellation) is { } known)
        {
            known.Suspended ??= since;
        }

        if (await context.Suspensions.FindAsync([nameof(SuspensionKind.Tenant), "", tenant], cancellation) is null)
        {
            context.Suspensions.Add(new SuspensionRow { Kind = nameof(SuspensionKind.Tenant), Name = tenant, Tenant = "", Reason = reason, Since = since });
        }

        await CountUpAsync(context, cancellation);
    }

    /// <summary>False when it was not suspended.</summary>
    public static async Task<bool> LiftAsync(StateContext context, string tenant, CancellationToken cancellation)
    {
        bool any = false;
        if (await context.Tenants.SingleOrDefaultAsync(row => row.Id == tenant, cancellation) is { Suspended: not null } known)
        {
            (known.Suspended, any) = (null, true);
        }

        if (await context.Suspensions.FindAsync([nameof(SuspensionKind.Tenant), "", tenant], cancellation) is { } row)
        {
            context.Suspensions.Remove(row);
            any = true;
        }

        await CountUpAsync(context, cancellation);
        return any;
    }

    private static async Task CountUpAsync(StateContext context, CancellationToken cancellation)
    {
        await AccessChange.CountUpAsync(context, cancellation);
        await ControlChange.CountUpAsync(context, cancellation);
    }
}
