using System.Collections.Concurrent;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Node;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging;
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
    public async Task Renewal_OfASuspendedNode_IsRefused()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder, "pki"), "test");
        pki.AddTenant(s_tenant);
        CertificateFiles front = pki.Issue(s_tenant, PeerRole.Coordinator, "front", s_hosts, TimeSpan.FromDays(1));
        using var log = new KeptLog();
        CoordinatorOptions options = Options(front, "acme", new ModelOptions { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") });
        await using CoordinatorHost coordinator = await CoordinatorHost.StartAsync(options, log, CancellationToken.None);
        Cell cell = coordinator.Cells[0];
        cell.SetSuspended(["worker"]);
        foreach (string node in new[] { "worker", "other" })
        {
            cell.NodeRegistry!.Tell(new NodeEvents.RenewalRequested(s_tenant, new NodeName(node), "none", "none"), Akka.Actor.ActorRefs.NoSender);
        }

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        string[] lines;
        while ((lines = [.. log.Lines.Where(line => line.Contains("not renewed", StringComparison.Ordinal))]).Length < 2)
        {
            await Task.Delay(10, deadline.Token);
        }

        Assert.Equal("the certificate of node worker was not renewed: the node is suspended", lines[0]);
        Assert.DoesNotContain("suspended", lines[1], StringComparison.Ordinal);
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

    /// <summary>Keeps every line.</summary>
    private sealed class KeptLog : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
