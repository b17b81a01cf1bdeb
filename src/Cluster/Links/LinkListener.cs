namespace Lamina.Cluster.Links;

/// <summary>
/// Accepts links on one port. Connections before authentication are capped in number and time; each accepted hello is offered to the router, which
/// accepts it with a handler or refuses it with a sentence.
/// </summary>
public sealed class LinkListener : IAsyncDisposable
{
    /// <param name="router">Decides on an authenticated hello whose tenant and sender match the certificate.</param>
    public static LinkListener Start(LinkOptions options, Identity.CertificateProvider certificates, Func<LinkHello, Identity.PeerIdentity, LinkDecision> router) => throw new NotImplementedException();

    public Messages.Endpoint Endpoint => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>The router's verdict on a hello: a handler, or the reason for refusing.</summary>
/// <param name="Accepted">Called once with the open link before its first frame is read.</param>
public readonly record struct LinkDecision(Func<Link, ILinkHandler>? Accepted, string? Refusal);

public static class LinkDialler
{
    /// <summary>
    /// Connects, authenticates both ways, says hello and waits for the answer. Throws <see cref="LinkClosedException"/> with a clear sentence (refused, unreachable,
    /// certificate of another tenant, ...). The link must be started afterwards.
    /// </summary>
    /// <param name="expectedPeer">Name that must stand in the peer's certificate; null accepts any of an allowed role.</param>
    public static Task<Link> DialAsync(Messages.Endpoint endpoint, string? expectedPeer, LinkHello hello, LinkOptions options, Identity.CertificateProvider certificates, CancellationToken cancellation) => throw new NotImplementedException();
}
