using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Isolation;

/// <summary>One cell as the report sees it: its identity on this machine, its ports, its files, and what its callers know.</summary>
/// <param name="Certificates">What this machine may show as a member of the cell; null when the cell is only a target.</param>
/// <param name="Models">Names of its models.</param>
/// <param name="Key">An API key of its own, where one was given.</param>
internal sealed record Insider(TenantId Tenant, CertificateFiles? Certificates, IReadOnlyList<Port> Ports, IReadOnlyList<string> Models, string? Key)
{
    public string Name => Tenant.Value;
}

internal sealed record Port(PortKind Kind, Endpoint At)
{
    public override string ToString() => $"{(Kind == PortKind.Link ? "link" : "control")} port {At}";
}

/// <summary>A certificate to show, with the name it speaks for.</summary>
internal sealed class ShownCertificate(PeerIdentity identity, X509Certificate2 certificate) : IDisposable
{
    public PeerIdentity Identity => identity;
    public X509Certificate2 Certificate => certificate;

    /// <summary>The cell's own, from its files.</summary>
    public static ShownCertificate Of(CertificateFiles files)
    {
        using CertificateProvider provider = CertificateProvider.FromFiles(files);
        return new ShownCertificate(provider.Self, Load(File.ReadAllText(files.CertificatePath), File.ReadAllText(files.KeyPath)));
    }

    /// <summary>One that says exactly the same, from an authority that nobody trusts.</summary>
    public static ShownCertificate ForgedAs(PeerIdentity identity)
    {
        using CertificateAuthority forger = CertificateAuthority.Create(identity.Installation, identity.Tenant);
        IssuedLeaf leaf = forger.Issue(identity.Role, identity.Name, ["localhost", "127.0.0.1"]);
        return new ShownCertificate(identity, Load(leaf.CertificatePem, leaf.KeyPem));
    }

    public void Dispose() => certificate.Dispose();

    // Through PKCS#12, because a certificate straight from PEM has a key that SslStream does not take on every platform.
    private static X509Certificate2 Load(string certificatePem, string keyPem)
    {
        using X509Certificate2 pem = X509Certificate2.CreateFromPem(certificatePem, keyPem);
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }
}
