using System.Collections.Frozen;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Quotas;

/// <summary>Suspensions in the database.</summary>
public sealed class SuspensionStore(StateDatabase state)
{
    /// <summary>
    /// Suspends; one that is suspended already stays as it is, but that what a tenant's administrator imposed becomes an operator's. Throws <see cref="AccessChangeException"/> when the name
    /// can be nothing's.
    /// </summary>
    public Task SuspendAsync(Suspension asked, CancellationToken cancellation)
    {
        Suspension suspension = SuspensionNames.Checked(asked);
        return ControlChange.RunAsync(
            state,
            async context =>
            {
                if (suspension.Kind == SuspensionKind.Tenant)
                {
                    await TenantSuspension.SetAsync(context, suspension.Name, suspension.Reason, suspension.Since.ToUnixTimeMilliseconds(), cancellation);
                }
                else if (await context.Suspensions.FindAsync([suspension.Kind.ToString(), suspension.Tenant?.Value ?? "", suspension.Name], cancellation) is not { } known)
                {
                    context.Suspensions.Add(SuspensionRow.Of(suspension));
                }
                else if (suspension.By == SuspendedBy.Operator && known.ImposedBy == SuspensionRow.ByTenant)
                {
                    (known.ImposedBy, known.Reason) = (SuspensionRow.ByOperator, suspension.Reason);
                }

                return true;
            },
            cancellation);
    }

    /// <summary>Lifts a suspension, however its row spells the name; false when there is none. Throws <see cref="ApiException"/> when a tenant's administrator asks and an operator imposed it.</summary>
    public Task<bool> LiftAsync(SuspensionKind kind, string name, TenantId? tenant, CancellationToken cancellation, SuspendedBy by = SuspendedBy.Operator) => ControlChange.RunAsync(
        state,
        async context =>
        {
            string canonical = SuspensionNames.TryCanonical(kind, name) ?? name;
            if (kind == SuspensionKind.Tenant)
            {
                return await TenantSuspension.LiftAsync(context, name, cancellation);
            }

            SuspensionRow[] found = [.. (await context.Suspensions.ToArrayAsync(cancellation))
                .Where(row => row.ToSuspension() is { } read && read.Kind == kind && (row.Name == name || read.Name == canonical) && row.Tenant == (tenant?.Value ?? ""))];
            if (by != SuspendedBy.Operator && found.Any(row => row.ImposedBy != SuspensionRow.ByTenant))
            {
                throw ApiError.MissingScope($"an operator suspended this {kind.ToString().ToLowerInvariant()}, and only an operator lifts that").AsException();
            }

            context.Suspensions.RemoveRange(found);
            return found.Length > 0;
        },
        cancellation);

    public async Task<IReadOnlyList<Suspension>> ListAsync(CancellationToken cancellation) => (await state.RunAsync(context => ReadAsync(context, cancellation), cancellation)).All;

    internal static async Task<SuspensionList> ReadAsync(StateContext context, CancellationToken cancellation) =>
        SuspensionList.Of(await context.Suspensions.AsNoTracking().OrderBy(row => row.Since).ToArrayAsync(cancellation));

    /// <summary>The keys, and subjects of tokens, among what is suspended.</summary>
    internal static async Task<FrozenSet<SuspendedKey>> ReadKeysAsync(StateContext context, CancellationToken cancellation) =>
        (await ReadAsync(context, cancellation)).All.Where(one => one.Kind == SuspensionKind.Key).Select(one => new SuspendedKey(one.Name, one.Tenant)).ToFrozenSet();
}
