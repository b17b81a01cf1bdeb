using Lamina.Cluster.Identity;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Identity;

public sealed class DenyListTests : IDisposable
{
    private readonly TestCell _cell = new();

    public void Dispose() => _cell.Dispose();

    /// <summary>What <c>openssl x509 -serial</c> and <c>-text</c>, browsers and .NET print for the same number.</summary>
    [Theory]
    [InlineData("0a1b2c")]
    [InlineData("0A1B2C")]
    [InlineData("0a:1b:2c")]
    [InlineData("0x0A1B2C")]
    [InlineData("serial=0A1B2C   # worker-3, lost on Tuesday")]
    public void Entry_SerialNumberInAnyUsualForm_IsTheSame(string line) => Assert.Equal([DenyList.Serial("0A1B2C")], DenyList.Parse(["", "# gone", line], "denied.txt").Entries);

    [Theory]
    [InlineData("worker-3")]
    [InlineData("spiffe://test.lamina/acme/node/worker-3")]
    [InlineData("spiffe://test.lamina/tenant/acme/node/worker-3/")]
    [InlineData("0a1g")]
    public void Entry_ThatRefusesNobody_IsAProblemAndTheOthersCount(string line)
    {
        DenyList read = DenyList.Parse(["0a1b2c", line, "spiffe://test.lamina/tenant/acme/node/a"], "denied.txt");

        Assert.Contains("line 2 of 'denied.txt'", read.Problem, StringComparison.Ordinal);
        Assert.Equal(2, read.Entries.Count);
    }

    [Fact]
    public void Provider_ListWithABadLine_RefusesToStartAndLaterSaysSo()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "b");
        using CertificateProvider running = CertificateProvider.FromFiles(files);
        File.WriteAllLines(files.DenyListPath, ["worker-3", "spiffe://test.lamina/tenant/acme/node/a"]);

        Assert.Contains("line 1 of", Assert.Throws<InvalidDataException>(() => CertificateProvider.FromFiles(files)).Message, StringComparison.Ordinal);
        Assert.True(running.Reload());
        Assert.Contains("line 1 of", running.ReloadProblem, StringComparison.Ordinal);
        Assert.Contains("deny-list", running.Refuse(_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/a"]), [PeerRole.Node], false, out _), StringComparison.Ordinal);
    }

    [Fact]
    public void Provider_ListChangesWhileTheCertificateBesideItIsBroken_RefusesAllTheSame()
    {
        CertificateFiles files = _cell.Files(PeerRole.Node, "b");
        using CertificateProvider running = CertificateProvider.FromFiles(files);
        File.WriteAllText(files.CertificatePath, "no certificate");
        File.WriteAllLines(files.DenyListPath, ["spiffe://test.lamina/tenant/acme/node/a"]);
        int version = running.Version;

        Assert.True(running.Reload());
        Assert.NotEqual(version, running.Version);
        Assert.Contains("cannot use certificate", running.ReloadProblem, StringComparison.Ordinal);
        Assert.Contains("deny-list", running.Refuse(_cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/a"]), [PeerRole.Node], false, out _), StringComparison.Ordinal);
        Assert.False(running.Reload());
    }
}
