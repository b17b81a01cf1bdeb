using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>
/// This process' certificate and the roots it trusts, re-read when the files change, so that handshakes after a rotation use the new ones without a restart.
/// Also the one place that decides whether a peer is accepted.
/// </summary>
public sealed class CertificateProvider : IDisposable
{
    /// <summary>Reads PEM files: leaf certificate, its key (mode 0600), and a bundle of trusted roots.</summary>
    public static CertificateProvider FromFiles(string certificatePath, string keyPath, string trustBundlePath) => throw new NotImplementedException();

    /// <summary>Identity in the own certificate.</summary>
    public PeerIdentity Self => throw new NotImplementedException();

    /// <summary>Null when the peer is accepted, else the reason: chain, validity, usage, number of URIs, installation, tenant, role, deny-list.</summary>
    public string? Refuse(X509Certificate2? certificate, PeerRole[] allowedRoles, bool peerIsServer, out PeerIdentity? identity) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
