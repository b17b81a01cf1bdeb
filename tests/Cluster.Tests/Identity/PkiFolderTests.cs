using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Identity;

public sealed class PkiFolderTests : IDisposable
{
    private static readonly TenantId s_acme = new("acme");
    private static readonly PeerRole[] s_nodes = [PeerRole.Node];

    private readonly TestFolder _folder = new();

    [Trait("Attack", "H5")]
    [Fact]
    public void RootRotation_AtEveryStep_OldAndNewProcessesAcceptEachOther()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "example.org");
        pki.AddTenant(s_acme);
        CertificateFiles a = pki.Issue(s_acme, PeerRole.Node, "a", ["a.example.org", "10.0.0.1"]);
        CertificateFiles b = pki.Issue(s_acme, PeerRole.Node, "b", ["b.example.org"]);
        using CertificateProvider ofA = CertificateProvider.FromFiles(a), ofB = CertificateProvider.FromFiles(b);
        AssertAccept();

        pki.AddRoot(s_acme);
        ofA.Reload();
        AssertAccept();
        ofB.Reload();

        Assert.Equal(2, pki.RotateLeaves(s_acme));
        ofA.Reload();
        AssertAccept();
        ofB.Reload();
        AssertAccept();

        Assert.Equal(1, pki.DropOldRoots(s_acme));
        ofA.Reload();
        AssertAccept();
        ofB.Reload();
        AssertAccept();

        void AssertAccept()
        {
            Assert.Null(ofA.Refuse(ofB.Current.Certificate, s_nodes, true, out _));
            Assert.Null(ofB.Refuse(ofA.Current.Certificate, s_nodes, false, out _));
        }
    }

    [Fact]
    public void Show_AfterIssue_ListsRootAndLeafWithHostsAndIdentity()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "example.org");
        pki.AddTenant(s_acme);
        pki.Issue(s_acme, PeerRole.Coordinator, "front", ["front.example.org", "10.0.0.1"]);

        IReadOnlyList<IssuedCertificate> shown = PkiFolder.Open(pki.FolderPath).Show(s_acme);

        Assert.Equal([null, "spiffe://example.org/tenant/acme/coordinator/front"], shown.Select(c => c.Identity?.Uri));
        Assert.Equal(["front.example.org", "10.0.0.1"], shown[1].Hosts);
        Assert.InRange(shown[1].NotAfter - DateTimeOffset.UtcNow, TimeSpan.FromHours(23), TimeSpan.FromHours(24));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void Issue_KeyFile_BelongsToItsOwnerAlone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "file modes are of Unix");
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "example.org");
        pki.AddTenant(s_acme);
        pki.Issue(s_acme, PeerRole.Node, "a", ["localhost"]);

        string[] keys = Directory.GetFiles(pki.FolderPath, "*.key", SearchOption.AllDirectories);
        Assert.Equal(2, keys.Length);
        Assert.All(keys, key => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key)));
    }

    [Theory]
    [InlineData("Upper")]
    [InlineData("../up")]
    [InlineData("")]
    [InlineData("a.b")]
    [InlineData("-a")]
    public void Issue_NameThatIsNotALabel_IsRefusedAndWritesNothing(string name)
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "example.org");
        pki.AddTenant(s_acme);

        Assert.Throws<ArgumentException>(() => pki.Issue(s_acme, PeerRole.Node, name, ["localhost"]));
        Assert.Throws<ArgumentException>(() => pki.AddTenant(new TenantId(name)));
        Assert.Single(pki.Show(s_acme));
    }

    [Fact]
    public void Init_FolderThatHoldsAPki_IsRefused()
    {
        PkiFolder.Init(_folder.Path, "example.org");

        Assert.Throws<InvalidOperationException>(() => PkiFolder.Init(_folder.Path, "example.org"));
    }

    [Fact]
    public void EphemeralPki_AfterRenewal_ProcessesTakeTheNewLeafOverAndAcceptEachOther()
    {
        using EphemeralPki pki = EphemeralPki.Create(_folder.Path, s_acme, ["front"], ["a", "b"]);
        using CertificateProvider front = CertificateProvider.FromFiles(pki.Files(PeerRole.Coordinator, "front")), a = CertificateProvider.FromFiles(pki.Files(PeerRole.Node, "a"));
        string before = a.Current.Certificate.SerialNumber;

        pki.Renew();

        Assert.True(a.Reload());
        Assert.NotEqual(before, a.Current.Certificate.SerialNumber);
        Assert.Null(front.Refuse(a.Current.Certificate, s_nodes, true, out _));
        Assert.True(a.Current.Certificate.MatchesHostname("127.0.0.1", false, false));
        Assert.True(a.Current.Certificate.MatchesHostname("localhost", false, false));
    }

    [Fact]
    public void EphemeralPki_Disposed_LeavesNoKey()
    {
        EphemeralPki.Create(_folder.Path, s_acme, ["front"], ["a"]).Dispose();

        Assert.Empty(Directory.GetFiles(_folder.Path, "*.key", SearchOption.AllDirectories));
    }

    public void Dispose() => _folder.Dispose();
}
