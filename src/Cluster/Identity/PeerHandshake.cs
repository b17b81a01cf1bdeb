using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>
/// The TLS settings of every connection in a cell, and the verdict on the peer of one handshake. TLS 1.3 only, certificates on both sides, no session resumption
/// (a resumed session would skip the check), nothing that switches the check off.
/// </summary>
internal sealed class PeerHandshake(CertificateProvider certificates, SslApplicationProtocol protocol, PeerRole[] allowedRoles)
{
    public static readonly PeerRole[] AnyRole = [PeerRole.Coordinator, PeerRole.Node];

    /// <summary>The peer, once the handshake has completed.</summary>
    public PeerIdentity? Peer { get; private set; }

    public Refusal? Refusal { get; private set; }

    private X509Certificate2? _certificate;

    public SslServerAuthenticationOptions ServerOptions()
    {
        LoadedCertificates current = certificates.Current;
        return new SslServerAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls13,
            ServerCertificateContext = SslStreamCertificateContext.Create(current.Certificate, null, offline: true),
            ClientCertificateRequired = true,
            CertificateChainPolicy = CertificateRules.ChainPolicy(current.Trust.Roots),
            RemoteCertificateValidationCallback = (_, certificate, _, _) => Accept(certificate, peerIsServer: false),
            AllowRenegotiation = false,
            AllowTlsResume = false,
            ApplicationProtocols = [protocol],
        };
    }

    public SslClientAuthenticationOptions ClientOptions(string host)
    {
        LoadedCertificates current = certificates.Current;
        return new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateContext = SslStreamCertificateContext.Create(current.Certificate, null, offline: true),
            CertificateChainPolicy = CertificateRules.ChainPolicy(current.Trust.Roots),
            RemoteCertificateValidationCallback = (_, certificate, _, _) => Accept(certificate, peerIsServer: true),
            AllowRenegotiation = false,
            AllowTlsResume = false,
            ApplicationProtocols = [protocol],
        };
    }

    /// <summary>After the handshake: both sides must have agreed on the protocol too, so that one kind of port cannot be taken for the other.</summary>
    public void RequireProtocol(SslStream stream)
    {
        if (stream.NegotiatedApplicationProtocol != protocol)
        {
            certificates.Count(RefusalReason.Protocol);
            throw new AuthenticationException("the peer does not speak this port's protocol");
        }
    }

    /// <summary>Whether the peer's certificate also names <paramref name="host"/>, as a DNS name or an address.</summary>
    public bool Names(string host) => _certificate?.MatchesHostname(host, allowWildcards: false, allowCommonName: false) == true;

    /// <summary>
    /// Whether the deny-list of now names the peer: that ends open connections too. Expiry and dropped roots do not, or every rotation would cut what it should not disturb;
    /// the bounded age of associations sees to those.
    /// </summary>
    public bool IsDenied => certificates.IsDenied(_certificate!, Peer!);

    private bool Accept(X509Certificate? certificate, bool peerIsServer)
    {
        // A copy: the stream disposes its own.
        _certificate = certificate is null ? null : X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        Refusal = certificates.Check(_certificate, allowedRoles, peerIsServer, out PeerIdentity? identity);
        Peer = identity;
        return Refusal is null;
    }
}
