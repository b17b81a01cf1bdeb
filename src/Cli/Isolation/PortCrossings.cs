using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Isolation;

/// <summary>The cells' ports: strangers, forged and foreign certificates, and members that claim to be another.</summary>
internal static class PortCrossings
{
    /// <summary>An address that documentation owns (RFC 5737): no certificate names it.</summary>
    private static readonly Endpoint s_elsewhere = new("192.0.2.1", 4000);

    private const string OldEpoch = "its certificate, for a stage of an epoch that is over";

    /// <param name="mayBeUnreachable">Whether a port of another tenant that cannot be reached holds, because something between is to keep it so.</param>
    public static async Task<IReadOnlyList<Crossing>> TryAllAsync(IReadOnlyList<Insider> cells, bool mayBeUnreachable, CancellationToken cancellation)
    {
        // At once for all ports: behind a policy that drops, each attempt waits its whole patience.
        IReadOnlyList<Crossing>[] found = await Task.WhenAll(cells.SelectMany(into => into.Ports.Select(port => TryPortAsync(cells, into, port, mayBeUnreachable, cancellation))));
        return
        [
            .. cells.Where(cell => cell.Ports.Count == 0).Select(cell =>
                Crossing.NotTried("anybody", cell.Name, "ports", "none is known: the configuration leaves them to chance (port 0); name them by --target")),
            .. found.SelectMany(crossings => crossings),
        ];
    }

    private static async Task<IReadOnlyList<Crossing>> TryPortAsync(IReadOnlyList<Insider> cells, Insider into, Port port, bool mayBeUnreachable, CancellationToken cancellation)
    {
        (CrossingAttempt control, string? doubt) = await ControlAsync(into, port, cancellation);
        Insider[] from = [.. cells.Where(cell => cell.Certificates is not null)];
        if (doubt is not null)
        {
            return
            [
                .. from.Select(cell => cell != into && mayBeUnreachable && control is { Outcome: CrossingOutcome.Unreachable, NoSuchHost: false }
                    ? Crossing.Held(cell.Name, into.Name, port.ToString(), $"not reachable ({control.Detail})")
                    : Crossing.Unproven(cell.Name, into.Name, port.ToString(), doubt)),
            ];
        }

        IReadOnlyList<Crossing>[] found = await Task.WhenAll(from.Select(cell => cell == into ? OwnAsync(into, port, control, cancellation) : ForeignAsync(cell, into, port, cancellation)));
        return [.. found.SelectMany(crossings => crossings)];
    }

    /// <summary>
    /// Before a refusal says anything, the port must be shown to be the cell's: it takes the cell's own certificate and answers, or where none is at hand at least shows one of the cell. A control port
    /// answers that the address was not dialled from, since whoever claims one must listen there.
    /// </summary>
    private static async Task<(CrossingAttempt Attempt, string? Doubt)> ControlAsync(Insider into, Port port, CancellationToken cancellation)
    {
        using ShownCertificate? own = into.Certificates is { } files ? ShownCertificate.Of(files) : null;
        PeerIdentity identity = own?.Identity ?? new PeerIdentity("lamina", into.Tenant, PeerRole.Node, "nobody");
        CrossingAttempt attempt = await CrossingProbe.TryAsync(port.At, port.Kind, own?.Certificate, Honest(identity, port), cancellation);
        string? doubt = attempt.Outcome == CrossingOutcome.Unreachable ? $"the port cannot be reached from here ({attempt.Detail})"
            : attempt.Server is null ? $"nothing there shows a certificate of a cell ({attempt.Detail})"
            : attempt.Server.Tenant != into.Tenant ? $"the port is one of tenant {attempt.Server.Tenant}"
            : own is not null && !attempt.Answered ? $"the port does not take {into.Name}'s own certificate either ({attempt.Detail})"
            : null;
        return (attempt, doubt);
    }

    private static async Task<IReadOnlyList<Crossing>> ForeignAsync(Insider from, Insider into, Port port, CancellationToken cancellation)
    {
        using ShownCertificate own = ShownCertificate.Of(from.Certificates!);
        var target = own.Identity with { Tenant = into.Tenant };
        using ShownCertificate forged = ShownCertificate.ForgedAs(target);
        return await Task.WhenAll(
            TryAsync(from.Name, into, port, "no certificate", null, Honest(target, port), cancellation),
            TryAsync(from.Name, into, port, $"a certificate in the name of {into.Name} from another authority", forged, Honest(target, port), cancellation),
            TryAsync(from.Name, into, port, "its own valid certificate", own, Honest(own.Identity, port), cancellation),
            TryAsync(from.Name, into, port, $"its own valid certificate, claiming tenant {into.Name}", own, Honest(target, port), cancellation));
    }

    /// <summary>A member gone bad: its certificate is good, what it says is not.</summary>
    private static async Task<IReadOnlyList<Crossing>> OwnAsync(Insider cell, Port port, CrossingAttempt control, CancellationToken cancellation)
    {
        using ShownCertificate own = ShownCertificate.Of(cell.Certificates!);
        using ShownCertificate forged = ShownCertificate.ForgedAs(own.Identity);
        PeerIdentity self = own.Identity;
        CrossingClaim honest = Honest(self, port);
        var found = new List<Task<Crossing>>
        {
            TryAsync("a stranger", cell, port, "no certificate", null, honest, cancellation),
            TryAsync("a stranger", cell, port, "the same certificate from another authority", forged, honest, cancellation),
            TryAsync(cell.Name, cell, port, "its certificate, claiming another tenant", own, honest with { Tenant = new TenantId("another-tenant") }, cancellation),
            TryAsync(cell.Name, cell, port, "its certificate, claiming another member's name", own, honest with { Name = "another-member" }, cancellation),
        };
        if (port.Kind == PortKind.Control)
        {
            found.Add(TryAsync(cell.Name, cell, port, "its certificate, claiming an address that it does not name", own, honest with { Origin = s_elsewhere }, cancellation));
            found.Add(TryAsync(cell.Name, cell, port, "its certificate, claiming the port's own address", own, honest with { Origin = port.At }, cancellation));
        }
        else
        {
            LinkPurpose forbidden = self.Role == PeerRole.Coordinator ? LinkPurpose.Activations : LinkPurpose.Generations;
            found.Add(TryAsync(cell.Name, cell, port, $"its certificate in a role that is not its own ({forbidden})", own, honest with { Purpose = forbidden }, cancellation));
            found.Add(control.Server!.Role == PeerRole.Coordinator
                ? Task.FromResult(Crossing.NotTried(cell.Name, cell.Name, $"{port} with {OldEpoch}", "a coordinator has no stages; name a node's link port by --target"))
                : TryAsync(cell.Name, cell, port, OldEpoch, own, honest with { Purpose = self.Role == PeerRole.Coordinator ? LinkPurpose.Generations : LinkPurpose.Activations, Target = Stale(cell) }, cancellation));
        }

        return await Task.WhenAll(found);
    }

    private static StageAddress Stale(Insider cell) => new(new DeploymentId(cell.Models.Count > 0 ? cell.Models[0] : "model"), Epoch: 0, Pipeline: 0, Stage: 0);

    private static CrossingClaim Honest(PeerIdentity identity, Port port) =>
        new(identity.Tenant, identity.Name, new Endpoint("127.0.0.1", port.At.Port), LinkPurpose.Blobs, default(StageAddress) with { Deployment = new DeploymentId("model") });

    private static async Task<Crossing> TryAsync(string from, Insider into, Port port, string with, ShownCertificate? shown, CrossingClaim claim, CancellationToken cancellation)
    {
        CrossingAttempt attempt = await CrossingProbe.TryAsync(port.At, port.Kind, shown?.Certificate, claim, cancellation);
        string what = $"{port} with {with}";
        return attempt.Outcome switch
        {
            CrossingOutcome.Entered => Crossing.Crossed(from, into.Name, what, attempt.Detail),
            CrossingOutcome.Unreachable => Crossing.Unproven(from, into.Name, what, $"the port cannot be reached any more ({attempt.Detail})"),
            _ => Crossing.Held(from, into.Name, what, attempt.Detail),
        };
    }
}
