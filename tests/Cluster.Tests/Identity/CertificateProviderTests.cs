using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Identity;

public sealed class CertificateProviderTests : IDisposable
{
    private static readonly PeerRole[] s_any = [PeerRole.Coordinator, PeerRole.Node];

    private readonly TestCell _cell = new();
    private readonly TestCell _foreign = new();

    public static TheoryData<string, bool> WrongOnes()
    {
        TheoryData<string, bool> data = [];
        foreach (string name in WrongCertificates.Names)
        {
            data.Add(name, true);
            data.Add(name, false);
        }

        return data;
    }

    [Trait("Attack", "B7")]
    [Theory]
    [MemberData(nameof(WrongOnes))]
    public void Refuse_WrongCertificate_SaysWhyAndCounts(string name, bool peerIsServer)
    {
        if (!WrongCertificates.AppliesTo(name, peerIsServer) && name != "none")
        {
            return;
        }

        CertificateProvider provider = _cell.Node("self");
        (X509Certificate2? certificate, RefusalReason reason) = WrongCertificates.Make(name, _cell, _foreign, peerIsServer);

        string? refusal = provider.Refuse(certificate, s_any, peerIsServer, out PeerIdentity? identity);

        Assert.NotNull(refusal);
        Assert.Null(identity);
        Assert.Equal(1, provider.Refusals(reason));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Refuse_CertificateOfTheCell_AcceptsAndNamesThePeer(bool peerIsServer)
    {
        CertificateProvider provider = _cell.Coordinator("front");

        Assert.Null(provider.Refuse(_cell.Leaf(), s_any, peerIsServer, out PeerIdentity? identity));
        Assert.Equal(new PeerIdentity("test.lamina", new TenantId("acme"), PeerRole.Node, "a"), identity);
    }

    [Trait("Attack", "B7")]
    [Fact]
    public void Refuse_RoleNotAllowedHere_IsRefused()
    {
        CertificateProvider provider = _cell.Node("self");

        Assert.NotNull(provider.Refuse(_cell.Leaf(), [PeerRole.Coordinator], peerIsServer: true, out _));
        Assert.Equal(1, provider.Refusals(RefusalReason.Role));
    }

    /// <summary>A clock that is off shows in one sentence on the machine that it is off on, and a small error matters to nobody.</summary>
    [Trait("Attack", "H6")]
    [Theory]
    [InlineData(-2, "not valid before")]
    [InlineData(2, null)]
    [InlineData(25, "expired")]
    public void Clock_HoursOff_IsNamedWhereItIsWrong(int hours, string? expected)
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self");
        Exception? refusal = Record.Exception(() => CertificateProvider.FromFiles(files, new OtherClock(TimeSpan.FromHours(hours))).Dispose());
        if (expected is null)
        {
            Assert.Null(refusal);
        }
        else
        {
            Assert.Contains(expected, Assert.IsType<InvalidDataException>(refusal).Message, StringComparison.Ordinal);
        }

        // The others, whose clocks are right, take each other as before.
        Assert.Null(_cell.Coordinator("front").Refuse(_cell.Leaf(), s_any, peerIsServer: true, out _));
    }

    private sealed class OtherClock(TimeSpan off) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + off;
    }

    [Fact]
    public void Refuse_PeerAddedToTheDenyList_IsRefusedAfterReload()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self");
        using CertificateProvider provider = CertificateProvider.FromFiles(files);
        X509Certificate2 byUri = _cell.Leaf(), bySerial = _cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/c"]);
        Assert.Null(provider.Refuse(byUri, s_any, true, out _));

        File.WriteAllText(files.DenyListPath, $"# lost laptop\nspiffe://test.lamina/tenant/acme/node/a\n{bySerial.SerialNumber}  # stolen\n");
        Assert.True(provider.Reload());

        Assert.NotNull(provider.Refuse(byUri, s_any, true, out _));
        Assert.NotNull(provider.Refuse(bySerial, s_any, true, out _));
        Assert.Null(provider.Refuse(_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/d"]), s_any, true, out _));
        Assert.Equal(2, provider.Refusals(RefusalReason.Denied));
    }

    [Fact]
    public void Reload_NewRootBesideTheOld_TrustsBoth()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self");
        using CertificateProvider provider = CertificateProvider.FromFiles(files);
        X509Certificate2 fromNewRoot = _foreign.Leaf();
        Assert.NotNull(provider.Refuse(fromNewRoot, s_any, true, out _));

        File.WriteAllText(files.TrustBundlePath, _cell.Authority.RootPem + "\n" + _foreign.Authority.RootPem);
        Assert.True(provider.Reload());

        Assert.Null(provider.Refuse(fromNewRoot, s_any, true, out _));
        Assert.Null(provider.Refuse(_cell.Leaf(), s_any, true, out _));
    }

    [Fact]
    public void Reload_KeyThatDoesNotFit_KeepsTheOldPairAndSaysWhy()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self"), others = _cell.Files(PeerRole.Node, "self");
        using CertificateProvider provider = CertificateProvider.FromFiles(files);

        File.Copy(others.CertificatePath, files.CertificatePath, overwrite: true);
        Assert.False(provider.Reload());
        Assert.NotNull(provider.ReloadProblem);
        Assert.Equal("self", provider.Self.Name);

        File.Copy(others.KeyPath, files.KeyPath, overwrite: true);
        Assert.True(provider.Reload());
        Assert.Null(provider.ReloadProblem);
    }

    [Fact]
    public void Reload_CertificateOfAnotherName_IsNotTakenOver()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self"), others = _cell.Files(PeerRole.Node, "other");
        using CertificateProvider provider = CertificateProvider.FromFiles(files);

        File.Copy(others.KeyPath, files.KeyPath, overwrite: true);
        File.Copy(others.CertificatePath, files.CertificatePath, overwrite: true);

        Assert.False(provider.Reload());
        Assert.Contains("node/other", provider.ReloadProblem, StringComparison.Ordinal);
    }

    [Fact]
    public void FromFiles_ForeignTrustBundle_SaysThatPeersWouldRefuse()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self", bundle: _foreign.Authority.RootPem);

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => CertificateProvider.FromFiles(files));
        Assert.Contains("would be refused", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void FromFiles_KeyReadableByAll_IsRefused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "file modes are of Unix");
        CertificateFiles files = _cell.Files(PeerRole.Node, "self");
        File.SetUnixFileMode(files.KeyPath, (UnixFileMode)0b110_100_100);

        Assert.Contains("0600", Assert.Throws<InvalidDataException>(() => CertificateProvider.FromFiles(files)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FromFiles_MissingFile_NamesIt()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "self");
        File.Delete(files.TrustBundlePath);

        Assert.Contains(files.TrustBundlePath, Assert.Throws<InvalidDataException>(() => CertificateProvider.FromFiles(files)).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _cell.Dispose();
        _foreign.Dispose();
    }
}
