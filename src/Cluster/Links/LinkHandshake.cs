using System.Net.Security;
using System.Net.Sockets;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Links;

/// <summary>What happens on a connection before it is a link: TLS, then hello and its answer.</summary>
internal static class LinkHandshake
{
    /// <summary>Keeps links and Akka's connections apart: each port speaks one of them.</summary>
    public static readonly SslApplicationProtocol Protocol = new("lamina-link/1");

    private static readonly PeerRole[] s_nodes = [PeerRole.Node];
    private static readonly PeerRole[] s_coordinators = [PeerRole.Coordinator];

    /// <summary>Which role may open a link for which purpose.</summary>
    private static bool MayOpen(PeerRole role, LinkPurpose purpose) => purpose switch
    {
        LinkPurpose.Activations or LinkPurpose.Tokens => role == PeerRole.Node,
        LinkPurpose.Generations or LinkPurpose.Mirror or LinkPurpose.Answers => role == PeerRole.Coordinator,
        LinkPurpose.Blobs => true,
        _ => false,
    };

    /// <summary>Which roles a link for the purpose leads to.</summary>
    private static PeerRole[] AnsweredBy(LinkPurpose purpose) => purpose switch
    {
        LinkPurpose.Blobs => PeerHandshake.AnyRole,
        LinkPurpose.Mirror or LinkPurpose.Answers => s_coordinators,
        _ => s_nodes,
    };

    /// <summary>Most bytes of a frame that the dialler has reason to send: who asks for blobs sends requests alone, and nobody sets 64 MiB aside for them.</summary>
    private static int AskedOf(LinkPurpose purpose, LinkOptions options) => purpose == LinkPurpose.Blobs ? Models.BlobProtocol.MaxRequestBytes : options.MaxFrameBytes;

    /// <summary>Answers the dialler's TLS and hello; calls back with the accepted link or throws <see cref="LinkClosedException"/>.</summary>
    public static (Link Link, ILinkHandler Handler) Accept(Socket socket, LinkOptions options, CertificateProvider certificates, Func<LinkHello, PeerIdentity, LinkDecision> router)
    {
        PeerHandshake handshake = new(certificates, Protocol, PeerHandshake.AnyRole);
        FrameStream frames = Authenticate(socket, options, certificates, handshake, ssl => ssl.AuthenticateAsServer(handshake.ServerOptions()));
        try
        {
            ReadOnlySpan<byte> payload = frames.Read(out FrameHeader header);
            if (header.Kind != FrameKind.Hello)
            {
                throw new LinkClosedException($"{header.Kind} frame came before hello");
            }

            LinkHello hello = Wire.Decode<LinkHello>(payload);
            PeerIdentity peer = handshake.Peer!;
            string? wrong = Judge(hello, peer);
            if (wrong is not null)
            {
                certificates.Count(RefusalReason.Claim, peer);
            }

            LinkDecision decision = wrong is not null ? new LinkDecision(null, wrong) : router(hello, peer);
            if (decision.Accepted is not { } accepted)
            {
                string refusal = decision.Refusal ?? "refused";
                byte[] text = LinkText.Encode(refusal);
                frames.Write(new FrameHeader((uint)text.Length, FrameKind.HelloRefused, 0, 0), text, default);
                frames.ShutdownSend();
                throw new LinkClosedException($"hello of {peer.Name} refused: {refusal}");
            }

            frames.LimitPayload(AskedOf(hello.Purpose, options));
            frames.Write(new FrameHeader(0, FrameKind.HelloAccepted, 0, LinkHello.CurrentVersion), default, default);
            Link link = new(frames, options, certificates, handshake, hello);
            return (link, accepted(link));
        }
        catch (Exception e)
        {
            frames.Dispose();
            throw e is LinkClosedException ? e : new LinkClosedException(e is InvalidDataException ? e.Message : LinkText.Describe(e));
        }
    }

    /// <summary>Says hello to the listener at the other end and waits for its answer.</summary>
    public static Link Dial(Socket socket, string host, string? expectedPeer, LinkHello hello, LinkOptions options, CertificateProvider certificates)
    {
        PeerHandshake handshake = new(certificates, Protocol, AnsweredBy(hello.Purpose));
        FrameStream frames = Authenticate(socket, options, certificates, handshake, ssl => ssl.AuthenticateAsClient(handshake.ClientOptions(host)));
        try
        {
            PeerIdentity peer = handshake.Peer!;
            if (expectedPeer is null ? !handshake.Names(host) : peer.Name != expectedPeer)
            {
                certificates.Count(RefusalReason.Address, peer);
                throw new LinkClosedException(expectedPeer is null ? $"the certificate of {peer.Name} does not name host '{host}'" : $"found {peer.Name} where {expectedPeer} was expected");
            }

            byte[] bytes = Wire.Encode(hello);
            frames.Write(new FrameHeader((uint)bytes.Length, FrameKind.Hello, 0, 0), bytes, default);
            ReadOnlySpan<byte> answer = frames.Read(out FrameHeader header);
            return header.Kind switch
            {
                FrameKind.HelloAccepted when IsSpoken(header.Step) => new Link(frames, options, certificates, handshake, hello),
                FrameKind.HelloAccepted => throw new LinkClosedException($"{peer.Name} speaks version {header.Step}, this build {LinkHello.CurrentVersion}"),
                FrameKind.HelloRefused => throw new LinkClosedException($"{peer.Name} refused: {LinkText.Decode(answer)}"),
                _ => throw new LinkClosedException($"{peer.Name} answered hello with a {header.Kind} frame"),
            };
        }
        catch (Exception e)
        {
            // With TLS 1.3 the listener judges our certificate after our side has finished: its refusal arrives here.
            frames.Dispose();
            throw e is LinkClosedException ? e : new LinkClosedException($"connection ended before the hello was answered ({LinkText.Describe(e)})");
        }
    }

    private static FrameStream Authenticate(Socket socket, LinkOptions options, CertificateProvider certificates, PeerHandshake handshake, Action<SslStream> authenticate)
    {
        SslStream ssl = new(new NetworkStream(socket, ownsSocket: true), leaveInnerStreamOpen: false);
        try
        {
            authenticate(ssl);
            handshake.RequireProtocol(ssl);
            return new FrameStream(socket, ssl, options);
        }
        catch (Exception e)
        {
            ssl.Dispose();
            if (handshake.Refusal is null)
            {
                certificates.Count(RefusalReason.Handshake);
            }

            throw new LinkClosedException(handshake.Refusal?.Text ?? LinkText.Describe(e));
        }
    }

    private static bool IsSpoken(int version) => version is LinkHello.CurrentVersion or (LinkHello.CurrentVersion - 1) and > 0;

    private static string? Judge(LinkHello hello, PeerIdentity peer) =>
        !IsSpoken(hello.Version) ? $"version {hello.Version} is not spoken here, {LinkHello.CurrentVersion} is"
        : hello.Tenant != peer.Tenant ? $"hello names tenant '{hello.Tenant}', the certificate '{peer.Tenant}'"
        : hello.Sender != peer.Name ? $"hello names sender '{hello.Sender}', the certificate '{peer.Name}'"
        : !MayOpen(peer.Role, hello.Purpose) ? $"a {PeerIdentity.RoleName(peer.Role)} may not open a link for {hello.Purpose}"
        : null;
}
