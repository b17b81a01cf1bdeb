using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;

namespace Lamina.Coordinator.Batches;

/// <summary>Whether a batch may still run on its caller's behalf: its key may be revoked or suspended, or its tenant suspended, long after it was made.</summary>
/// <param name="RefusalOf">Null while the caller may go on.</param>
/// <param name="EndOf">Cancelled when that changes.</param>
internal sealed record BatchAccess(Func<Caller, KeyRefusal?> RefusalOf, Func<Caller, CancellationToken> EndOf)
{
    /// <summary>Where there are no keys.</summary>
    public static BatchAccess Open { get; } = new(_ => null, _ => CancellationToken.None);

    public static BatchAccess Of(KeyRing ring) => new(
        caller => caller.Key is null ? null : ring.RefusalOf(caller.Key, caller.Tenant),
        caller => caller.Key is null ? CancellationToken.None : ring.EndOf(caller.Key, caller.Tenant));
}
