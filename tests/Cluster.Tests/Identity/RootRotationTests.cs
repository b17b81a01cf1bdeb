using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Identity;

/// <summary>A root is replaced where a coordinator renews its cell's certificates from the folder of <c>lamina pki</c>.</summary>
public sealed class RootRotationTests : IDisposable
{
    private static readonly TenantId s_acme = new("acme");

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Trait("Attack", "H5")]
    [Fact]
    public void Issuer_RootAdded_IssuesFromItOnceTheCellTrustsItAndGoesOnWhenTheOldOneIsDropped()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test.lamina");
        pki.AddTenant(s_acme);
        CertificateFiles kept = pki.Issue(s_acme, PeerRole.Coordinator, "front", TestCell.Loopback);
        CertificateFiles files = CertificateFiles.In(Path.Combine(_folder.Path, "front"));
        Directory.CreateDirectory(Path.GetDirectoryName(files.KeyPath)!);
        File.Copy(kept.CertificatePath, files.CertificatePath);
        File.Copy(kept.KeyPath, files.KeyPath);
        File.Copy(kept.TrustBundlePath, files.TrustBundlePath);
        using CertificateProvider certificates = CertificateProvider.FromFiles(files);
        var issuer = new CellIssuer(RootFiles.In(Path.Combine(pki.FolderPath, "acme", "roots")), certificates, TimeProvider.System);
        string first = IssuerOf(issuer.RenewOwn());

        // The root is there, and no bundle that was distributed has it yet.
        pki.AddRoot(s_acme);
        Assert.Equal(first, IssuerOf(issuer.RenewOwn()));

        File.Copy(kept.TrustBundlePath, files.TrustBundlePath, overwrite: true);
        Assert.True(certificates.Reload());
        string second = IssuerOf(issuer.RenewOwn());
        Assert.NotEqual(first, second);

        using (var renewal = new LeafRenewal(files, certificates, TimeProvider.System))
        {
            renewal.Take(issuer.RenewOwn());
        }

        // The folder still holds the certificate of the start, below the first root and good for a day.
        Assert.Contains("stands below root 1", Assert.Throws<InvalidOperationException>(() => pki.DropOldRoots(s_acme)).Message, StringComparison.Ordinal);
        pki.RotateLeaves(s_acme);
        Assert.Equal(1, pki.DropOldRoots(s_acme));
        File.Copy(kept.TrustBundlePath, files.TrustBundlePath, overwrite: true);
        Assert.True(certificates.Reload());
        Assert.Null(certificates.ReloadProblem);
        Assert.Equal(second, IssuerOf(issuer.RenewOwn()));
    }

    [Fact]
    public void RotateLeaves_Again_LivesAsLong()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test.lamina");
        pki.AddTenant(s_acme);
        CertificateFiles files = pki.Issue(s_acme, PeerRole.Node, "a", TestCell.Loopback);
        TimeSpan before = Life(files);

        pki.RotateLeaves(s_acme);
        pki.RotateLeaves(s_acme);

        Assert.Equal(before.TotalSeconds, Life(files).TotalSeconds, 2.0);
    }

    private static TimeSpan Life(CertificateFiles files)
    {
        using X509Certificate2 leaf = X509CertificateLoader.LoadCertificateFromFile(files.CertificatePath);
        return leaf.NotAfter - leaf.NotBefore;
    }

    private static string IssuerOf(IssuedLeaf leaf)
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(leaf.CertificatePem);
        return Convert.ToHexString(certificate.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().Single().KeyIdentifier!.Value.Span);
    }
}
