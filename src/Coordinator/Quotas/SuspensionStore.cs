using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Quotas;

/// <summary>Suspensions in the database.</summary>
public sealed class SuspensionStore(StateDatabase state)
{
    /// <summary>Suspends; one that is suspended already stays as it is.</summary>
    public Task SuspendAsync(Suspension suspension, CancellationToken cancellation) => ControlChange.RunAsync(
        state,
        async context =>
        {
            if (suspension.Kind == SuspensionKind.Tenant)
            {
                await TenantSuspension.SetAsync(context, suspension.Name, suspension.Reason, suspension.Since.ToUnixTimeMilliseconds(), cancellation);
            }
            else if (await context.Suspensions.FindAsync([suspension.Kind.ToString(), suspension.Tenant?.Value ?? "", suspension.Name], cancellation) is null)
            {
                context.Suspensions.Add(new SuspensionRow
                {
                    Kind = suspension.Kind.ToString(), Name = suspension.Name, Tenant = suspension.Tenant?.Value ?? "", Reason = suspension.Reason,
                    Since = suspension.Since.ToUnixTimeMilliseconds(),
                });
            }

            return true;
        },
        cancellation);

    /// <summary>Lifts a suspension; false when there is none.</summary>
    public Task<bool> LiftAsync(SuspensionKind kind, string name, TenantId? tenant, CancellationToken cancellation) => ControlChange.RunAsync(
        state,
        async context =>
        {
            if (kind == SuspensionKind.Tenant)
            {
                return await TenantSuspension.LiftAsync(context, name, cancellation);
            }

            SuspensionRow? row = await context.Suspensions.FindAsync([kind.ToString(), tenant?.Value ?? "", name], cancellation);
            if (row is not null)
            {
                context.Suspensions.Remove(row);
            }

            return row is not null;
        },
        cancellation);

    public async Task<IReadOnlyList<Suspension>> ListAsync(CancellationToken cancellation) => (await state.RunAsync(context => ReadAsync(context, cancellation), cancellation)).All;

    internal static async Task<SuspensionList> ReadAsync(StateContext context, CancellationToken cancellation) =>
        new([.. (await context.Suspensions.AsNoTracking().OrderBy(row => row.Since).ToArrayAsync(cancellation)).Select(row => row.ToSuspension())]);
}
