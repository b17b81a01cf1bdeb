using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Audit;

public sealed class PeerRefusalTests
{
    /// <summary>A node that was taken over has a valid certificate of its own cell: what it claims beyond that is refused, and stands in the audit log.</summary>
    [Trait("Attack", "I4")]
    [Fact]
    public async Task Node_ThatClaimsAnotherTenant_IsRefusedAndRecorded()
    {
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync([], ["node-1"]);
        CertificateFiles files = coordinator.Pki.Files(PeerRole.Node, "node-1");
        using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(files.CertificatePath, files.KeyPath);
        using X509Certificate2 own = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
        Endpoint control = coordinator.Host.Cells[0].ControlEndpoint;
        string audit = Path.Combine(coordinator.Folder, "store", "audit");
        string text = "";
        for (long begun = Stopwatch.GetTimestamp(); !text.Contains("\"actor\":\"peer\"", StringComparison.Ordinal); await Task.Delay(50))
        {
            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(60), $"nothing was recorded:\n{text}");
            var claim = new CrossingClaim(new TenantId("globex"), "node-1", control, LinkPurpose.Blobs, default);
            CrossingAttempt attempt = await CrossingProbe.TryAsync(control, PortKind.Control, own, claim, CancellationToken.None);
            Assert.True(attempt.Outcome == CrossingOutcome.Refused, attempt.Detail);
            text = string.Concat(Directory.EnumerateFiles(audit, "*", SearchOption.AllDirectories).Select(Read));
        }

        string record = text.Split('\n').First(line => line.Contains("\"actor\":\"peer\"", StringComparison.Ordinal));
        Assert.Contains($"\"tenant\":\"acme\",\"action\":\"refusal\",\"result\":\"claim\",\"target\":\"cell, last {Named(own)}\"", record, StringComparison.Ordinal);
    }

    /// <summary>The one URI of the certificate, as the platform prints it.</summary>
    private static string Named(X509Certificate2 certificate) =>
        certificate.Extensions.First(extension => extension.Oid!.Value == "2.5.29.17").Format(multiLine: true).Split(['\n', ',', ' '], StringSplitOptions.RemoveEmptyEntries).First(part => part.StartsWith("URI:", StringComparison.Ordinal))["URI:".Length..];

    private static string Read(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd();
    }
}
