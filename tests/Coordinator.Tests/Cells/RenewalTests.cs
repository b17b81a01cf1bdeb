using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Node;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A cell whose certificates are about to end, and whose coordinator holds the root.</summary>
public sealed class RenewalTests : IDisposable
{
    private static readonly TenantId s_tenant = new("acme");
    private static readonly string[] s_hosts = ["127.0.0.1", "localhost"];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-renewal-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Certificates_NearTheirEnd_AreRenewedWhileTheCellServes()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder, "pki"), "test");
        pki.AddTenant(s_tenant);
        CertificateFiles front = pki.Issue(s_tenant, PeerRole.Coordinator, "front", s_hosts, TimeSpan.FromMinutes(2));
        CertificateFiles worker = pki.Issue(s_tenant, PeerRole.Node, "worker", s_hosts, TimeSpan.FromMinutes(2));
        CoordinatorOptions options = Options(front, "acme", new ModelOptions { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") });
        await using CoordinatorHost coordinator = await CoordinatorHost.StartAsync(options, NullLoggerFactory.Instance, CancellationToken.None);
        await using NodeHost node = await NodeHost.StartAsync(
            new NodeOptions
            {
                Tenant = s_tenant,
                Name = new NodeName("worker"),
                CertificatePath = worker.CertificatePath,
                KeyPath = worker.KeyPath,
                TrustBundlePath = worker.TrustBundlePath,
                Seeds = [coordinator.Cells[0].ControlEndpoint],
                CachePath = Path.Combine(_folder, "cache"),
                Threads = 1,
                MemoryBytes = 1L << 30,
            },
            NullLoggerFactory.Instance,
            CancellationToken.None);

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(180));
        foreach (CertificateFiles files in new[] { front, worker })
        {
            while (IssuedCertificate.Read(files.CertificatePath).NotAfter < DateTimeOffset.Now.AddHours(20))
            {
                await Task.Delay(50, deadline.Token);
            }
        }

        await coordinator.Cells[0].WaitReadyAsync("tiny", null, deadline.Token);
        Assert.Equal("spiffe://test/tenant/acme/node/worker", IssuedCertificate.Read(worker.CertificatePath).Identity!.Uri);
    }

    [Fact]
    public async Task Start_WithAnotherTenantsRoot_IsRefused()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder, "pki"), "test");
        pki.AddTenant(s_tenant);
        pki.AddTenant(new TenantId("globex"));
        CertificateFiles front = pki.Issue(s_tenant, PeerRole.Coordinator, "front", s_hosts);
        CoordinatorOptions options = Options(front, "globex");

        InvalidDataException refused = await Assert.ThrowsAsync<InvalidDataException>(() => CoordinatorHost.StartAsync(options, NullLoggerFactory.Instance, CancellationToken.None));
        Assert.Contains("would be refused in its own cell", refused.Message, StringComparison.Ordinal);
    }

    /// <param name="issuer">Whose root the coordinator holds.</param>
    private CoordinatorOptions Options(CertificateFiles front, string issuer, params ModelOptions[] models)
    {
        string root = Path.Combine(_folder, "pki", issuer, "roots", "1");
        return new CoordinatorOptions
        {
            Listen = "127.0.0.1:0",
            StorePath = Path.Combine(_folder, "store"),
            Cells =
            [
                new CellOptions
                {
                    Tenant = s_tenant,
                    Name = "front",
                    CertificatePath = front.CertificatePath,
                    KeyPath = front.KeyPath,
                    TrustBundlePath = front.TrustBundlePath,
                    Issuer = new IssuerOptions { CertificatePath = root + ".crt", KeyPath = root + ".key" },
                    Models = models,
                },
            ],
        };
    }
}
