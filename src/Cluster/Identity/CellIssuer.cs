using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

/// <summary>
/// Renews the certificates of a cell's processes with the tenant's root key, where the operator has put that on a coordinator. A renewal gives nothing new: the same
/// identity and the same hosts as the certificate that is shown for it, which must still be good. The root is found and read anew each time, so that it can be rotated.
/// </summary>
/// <param name="roots">Where the root is: the newest one in it that this cell trusts is used.</param>
public sealed class CellIssuer(RootFiles roots, CertificateProvider certificates, TimeProvider time)
{
    private const string P256 = "1.2.840.10045.3.1.7";

    /// <summary>Throws <see cref="InvalidDataException"/> with one sentence unless root and key fit together and to this cell's trusted roots.</summary>
    public void Check()
    {
        using CertificateAuthority authority = Open();
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        PeerIdentity self = certificates.Self;
        RequireTrusted(authority.Issue(self.Role, self.Name, Hosts(certificates.Current.Certificate)).CertificatePem);
    }

    /// <summary>A new certificate for this process itself, with a new key.</summary>
    public IssuedLeaf RenewOwn()
    {
        using CertificateAuthority authority = Open();
        PeerIdentity self = certificates.Self;
        return authority.Issue(self.Role, self.Name, Hosts(certificates.Current.Certificate));
    }

    /// <summary>A new certificate (PEM) for a node, or <see cref="InvalidDataException"/> with one sentence why not.</summary>
    /// <param name="node">The name that the asker has proven to be its own.</param>
    /// <param name="certificatePem">Its present certificate.</param>
    /// <param name="requestPem">Signed with the new key, which proves that the asker holds it.</param>
    public string Renew(NodeName node, string certificatePem, string requestPem)
    {
        try
        {
            using X509Certificate2 present = X509Certificate2.CreateFromPem(certificatePem);
            if (certificates.Check(present, [PeerRole.Node], peerIsServer: false, out PeerIdentity? identity) is { } refusal)
            {
                throw new InvalidDataException($"the present certificate is not good: {refusal.Text}");
            }

            if (identity!.Name != node.Value)
            {
                throw new InvalidDataException($"the present certificate is that of {identity.Name}");
            }

            CertificateRequest request = CertificateRequest.LoadSigningRequestPem(requestPem, HashAlgorithmName.SHA256);
            using ECDsa? key = request.PublicKey.GetECDsaPublicKey();
            if (key?.ExportParameters(false).Curve.Oid.Value != P256)
            {
                throw new InvalidDataException("the key of the request is not on the curve P-256");
            }

            using CertificateAuthority authority = Open();
            return RequireTrusted(authority.Issue(PeerRole.Node, identity.Name, Hosts(present), key));
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"certificate or request cannot be read: {e.Message}");
        }
    }

    private CertificateAuthority Open()
    {
        (string path, string keyPath) = roots.Newest(certificates.Current.Trust);
        CertificateFiles.RequirePrivate(keyPath);
        try
        {
            return CertificateAuthority.Open(certificates.Self.Installation, certificates.Self.Tenant, path, keyPath, time);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or IOException)
        {
            throw new InvalidDataException($"the root '{path}' with key '{keyPath}' cannot be used: {e.Message}");
        }
    }

    private string RequireTrusted(string pem)
    {
        using X509Certificate2 issued = X509Certificate2.CreateFromPem(pem);
        LoadedCertificates current = certificates.Current;
        return CertificateRules.Check(issued, current.Trust, current.Identity, PeerHandshake.AnyRole, peerIsServer: true, time.GetUtcNow().UtcDateTime, out _) is { } refusal
            ? throw new InvalidDataException($"what the root of '{roots.Place}' issues would be refused in its own cell: {refusal.Text}")
            : pem;
    }

    private static List<string> Hosts(X509Certificate2 certificate)
    {
        List<string> hosts = [];
        foreach (X509SubjectAlternativeNameExtension names in certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>())
        {
            hosts.AddRange(names.EnumerateDnsNames());
            hosts.AddRange(names.EnumerateIPAddresses().Select(address => address.ToString()));
        }

        return hosts;
    }
}
