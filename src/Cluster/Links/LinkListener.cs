using System.Net;
using System.Net.Sockets;
using Lamina.Cluster.Identity;

namespace Lamina.Cluster.Links;

/// <summary>
/// Accepts links on one port. Connections before authentication are capped in number and time, links of an authenticated peer in number; each hello is offered to the router, which
/// accepts it with a handler or refuses it with a sentence.
/// </summary>
public sealed class LinkListener : IAsyncDisposable
{
    private readonly LinkOptions _options;
    private readonly CertificateProvider _certificates;
    private readonly Func<LinkHello, PeerIdentity, LinkDecision> _router;
    private readonly Socket _socket;
    private readonly ConnectionCap _cap;
    private readonly PeerCap<(PeerIdentity, LinkPurpose)> _peers;
    private readonly Thread _accepting;
    private readonly LogLimiter _limiter = new();
    private int _expectedStrangers;
    private volatile bool _stopping;

    private LinkListener(LinkOptions options, CertificateProvider certificates, Func<LinkHello, PeerIdentity, LinkDecision> router)
    {
        _options = options;
        _certificates = certificates;
        _router = router;
        _cap = new ConnectionCap(options.MaxUnauthenticated, options.MaxUnauthenticatedPerAddress);
        _peers = new PeerCap<(PeerIdentity, LinkPurpose)>(options.MaxPerPeer);
        _socket = ListeningSocket.Open(options.BindAddress, options.Port, options.PublicHost);
        Endpoint = new Messages.Endpoint(options.PublicHost ?? options.BindAddress, ((IPEndPoint)_socket.LocalEndPoint!).Port);
        _accepting = new Thread(AcceptAll, 256 * 1024) { IsBackground = true, Name = "link-accept" };
        _accepting.Start();
    }

    /// <param name="router">Decides on an authenticated hello whose tenant and sender match the certificate.</param>
    public static LinkListener Start(LinkOptions options, CertificateProvider certificates, Func<LinkHello, PeerIdentity, LinkDecision> router) => new(options, certificates, router);

    public Messages.Endpoint Endpoint { get; }

    /// <summary>The next stranger is this process itself, testing its port: not worth a line in the log.</summary>
    internal void ExpectStranger() => Interlocked.Increment(ref _expectedStrangers);

    /// <summary>Stops listening. Links that were accepted stay open.</summary>
    public ValueTask DisposeAsync()
    {
        _stopping = true;
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private void AcceptAll()
    {
        while (!_stopping)
        {
            try
            {
                Socket socket = _socket.Accept();
                IPAddress address = ((IPEndPoint)socket.RemoteEndPoint!).Address;
                if (!_cap.TryEnter(address))
                {
                    _certificates.Count(RefusalReason.Capacity);
                    socket.LingerState = new LingerOption(true, 0);
                    socket.Dispose();
                    continue;
                }

                new Thread(() => Serve(socket, address), 512 * 1024) { IsBackground = true, Name = "link-handshake" }.Start();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (!_stopping)
                {
                    // Out of descriptors, or the peer was gone before it was accepted: others may fare better in a moment.
                    Log($"link port {Endpoint.Port}: accept failed: {e.Message}");
                    Thread.Sleep(20);
                }
            }
        }
    }

    private void Serve(Socket socket, IPAddress address)
    {
        (PeerIdentity, LinkPurpose)? counted = null;
        try
        {
            Link link;
            ILinkHandler handler;
            try
            {
                using HandshakeDeadline deadline = new(_options.HandshakeDeadline);
                deadline.Guard(socket);
                try
                {
                    socket.NoDelay = true;
                    (link, handler) = LinkHandshake.Accept(socket, _options, _certificates, (hello, peer) => Decide(hello, peer, ref counted));
                }
                catch (Exception e)
                {
                    if (deadline.IsBroken)
                    {
                        _certificates.Count(RefusalReason.Deadline);
                    }

                    Log($"link from {address} refused: {(deadline.IsBroken ? $"no hello within {_options.HandshakeDeadline.TotalSeconds:0.###} s" : LinkText.Describe(e))}");
                    socket.Dispose();
                    return;
                }
            }
            finally
            {
                _cap.Leave(address);
            }

            Thread.CurrentThread.Name = $"link {link.Hello.Purpose} {link.Peer.Name}";
            link.Run(handler);
        }
        finally
        {
            if (counted is { } open)
            {
                _peers.Leave(open);
            }
        }
    }

    private LinkDecision Decide(LinkHello hello, PeerIdentity peer, ref (PeerIdentity, LinkPurpose)? counted)
    {
        LinkDecision decision = _router(hello, peer);
        if (decision.Accepted is null)
        {
            return decision;
        }

        if (!_peers.TryEnter((peer, hello.Purpose)))
        {
            _certificates.Count(RefusalReason.Capacity);
            return new LinkDecision(null, $"{peer.Name} has {_options.MaxPerPeer} links for {hello.Purpose} open here, the most that one peer may have");
        }

        counted = (peer, hello.Purpose);
        return decision;
    }

    private void Log(string sentence)
    {
        bool expected = Interlocked.Decrement(ref _expectedStrangers) >= 0;
        if (!expected)
        {
            Interlocked.Increment(ref _expectedStrangers);
        }

        if (!expected && _limiter.TryTake())
        {
            _options.Log?.Invoke(sentence);
        }
    }
}

/// <summary>The router's verdict on a hello: a handler, or the reason for refusing.</summary>
/// <param name="Accepted">Called once with the open link before its first frame is read.</param>
public readonly record struct LinkDecision(Func<Link, ILinkHandler>? Accepted, string? Refusal);
