using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.RegularExpressions;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>A coordinator and three nodes started one by one from configuration files, as on different machines.</summary>
public sealed partial class TwoMachineTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
    private readonly List<LaminaProcess> _processes = [];
    private readonly Dictionary<int, int[]> _ports = [];

    [Trait("Attack", "B5")]
    [Trait("Attack", "B7")]
    [Fact]
    public async Task Cell_FromConfigurationFiles_ServesOverTlsAndRefusesStrangers()
    {
        TenantId tenant = new("acme");
        PkiFolder past = PkiFolder.Init(Path.Combine(_folder, "pki"), "test", new PastClock(TimeSpan.FromDays(3)));
        past.AddTenant(tenant);
        CertificateFiles expired = past.Issue(tenant, PeerRole.Node, "late", s_loopback, TimeSpan.FromHours(1));
        PkiFolder pki = PkiFolder.Open(past.FolderPath);
        LaminaProcess coordinator = StartCoordinator(pki, tenant);
        string line = await coordinator.WaitForLineAsync("coordinator: API at", s_limit);
        string seed = Seed().Match(line).Groups[1].Value;
        LaminaProcess[] nodes = [.. Enumerable.Range(1, 3).Select(number => StartNode(pki, tenant, $"node-{number}", seed))];

        using HttpClient http = new() { BaseAddress = new Uri(Address().Match(line).Value) };
        await Eventually.TrueAsync(async () => (await http.GetAsync("health/ready")).StatusCode == HttpStatusCode.OK, s_limit, "the cell never became ready\n" + string.Join('\n', _processes.Select(process => process.Error)));
        Assert.Contains("42", await http.AnswerAsync(ChatApi.Chat(ChatApi.User("What is 27 + 15?"), maxTokens: 32)), StringComparison.Ordinal);

        Assert.Equal(3, nodes.Select(node => node.Id).Distinct().Count());
        Assert.All(nodes, node => Assert.True(ProcessTable.IsAlive(node.Id)));
        foreach (LaminaProcess process in _processes)
        {
            // Address and port, of TCP and UDP, all of them: one more, or a wildcard for an address, is one too many.
            int[] ports = _ports[process.Id];
            IEnumerable<string> configured = ports.Concat(process == coordinator ? [http.BaseAddress.Port] : []).Select(port => $"tcp 127.0.0.1:{port}");
            Assert.Equal(configured.Order(StringComparer.Ordinal), ProcessTable.Listeners(process.Id).Order(StringComparer.Ordinal));
            foreach (int port in ports)
            {
                foreach ((string who, X509Certificate2? certificate) in Strangers(pki, tenant, expired))
                {
                    string result = await ProbeAsync(port, certificate);
                    output.WriteLine($"process {process.Id} port {port}: {who}: {result}");
                    Assert.StartsWith("refused", result, StringComparison.Ordinal);
                }
            }
        }

        // The process counts each under its reason: here on the coordinator's two ports, on one of which it has tried itself what happens without a certificate.
        string metrics = await http.GetStringAsync("metrics");
        foreach ((string reason, int refused) in new[] { ("no_certificate", 2), ("untrusted_chain", 4), ("expired", 2) })
        {
            Match counted = Regex.Match(metrics, $"lamina_cluster_mtls_rejected_total\\{{reason=\"{reason}\"\\}} ([0-9]+)");
            Assert.True(counted.Success && int.Parse(counted.Groups[1].Value, CultureInfo.InvariantCulture) >= refused, $"{reason}: {counted.Value}, expected {refused}\n{metrics}");
        }

        Assert.All(_processes, process => Assert.False(process.HasExited, process.Error));
        Assert.Contains("42", await http.AnswerAsync(ChatApi.Chat(ChatApi.User("What is 27 + 15?"), maxTokens: 32)), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        foreach (LaminaProcess process in _processes)
        {
            process.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private LaminaProcess StartCoordinator(PkiFolder pki, TenantId tenant)
    {
        CertificateFiles files = pki.Issue(tenant, PeerRole.Coordinator, "front", s_loopback);
        int[] ports = [FreePorts.Take(), FreePorts.Take()];
        return Start("coordinator", ports, new Dictionary<string, object>
        {
            ["Coordinator"] = new Dictionary<string, object>
            {
                ["Listen"] = "127.0.0.1:0",
                ["StorePath"] = Path.Combine(_folder, "store"),
                ["Cells"] = new[]
                {
                    new Dictionary<string, object>
                    {
                        ["Tenant"] = tenant.Value,
                        ["Name"] = "front",
                        ["ControlPort"] = ports[0],
                        ["LinkPort"] = ports[1],
                        ["CertificatePath"] = files.CertificatePath,
                        ["KeyPath"] = files.KeyPath,
                        ["TrustBundlePath"] = files.TrustBundlePath,
                        ["Models"] = new[] { new Dictionary<string, object> { ["Path"] = Repository.File("models/lamina-tiny-q8_0.gguf"), ["Nodes"] = 3 } },
                    },
                },
            },
        });
    }

    private LaminaProcess StartNode(PkiFolder pki, TenantId tenant, string name, string seed)
    {
        CertificateFiles files = pki.Issue(tenant, PeerRole.Node, name, s_loopback);
        int[] ports = [FreePorts.Take(), FreePorts.Take()];
        return Start("node", ports, new Dictionary<string, object>
        {
            ["Node"] = new Dictionary<string, object>
            {
                ["Tenant"] = tenant.Value,
                ["Name"] = name,
                ["ControlPort"] = ports[0],
                ["LinkPort"] = ports[1],
                ["CertificatePath"] = files.CertificatePath,
                ["KeyPath"] = files.KeyPath,
                ["TrustBundlePath"] = files.TrustBundlePath,
                ["Seeds"] = new[] { seed },
                ["CachePath"] = Path.Combine(_folder, "cache-" + name),
                ["Threads"] = 1,
            },
        });
    }

    private LaminaProcess Start(string command, int[] ports, Dictionary<string, object> configuration)
    {
        string path = Path.Combine(_folder, $"{command}-{_processes.Count}.json");
        File.WriteAllText(path, JsonSerializer.Serialize(configuration));
        LaminaProcess process = LaminaProcess.Start(command, "--config", path);
        _processes.Add(process);
        _ports[process.Id] = ports;
        return process;
    }

    private IEnumerable<(string Who, X509Certificate2? Certificate)> Strangers(PkiFolder pki, TenantId tenant, CertificateFiles expired)
    {
        yield return ("no certificate", null);
        using CertificateAuthority foreign = CertificateAuthority.Create("test", tenant);
        yield return ("same name from a foreign CA", Certificate(foreign.Issue(PeerRole.Node, "node-1", s_loopback)));
        TenantId other = new("other");
        if (!pki.Tenants.Contains(other))
        {
            pki.AddTenant(other);
        }

        CertificateFiles files = pki.Issue(other, PeerRole.Node, "node-1", s_loopback);
        yield return ("a valid certificate of another tenant", Certificate(new IssuedLeaf(File.ReadAllText(files.CertificatePath), File.ReadAllText(files.KeyPath))));
        yield return ("an expired certificate of this tenant", Certificate(new IssuedLeaf(File.ReadAllText(expired.CertificatePath), File.ReadAllText(expired.KeyPath))));
    }

    private static X509Certificate2 Certificate(IssuedLeaf leaf)
    {
        using X509Certificate2 ephemeral = X509Certificate2.CreateFromPem(leaf.CertificatePem, leaf.KeyPem);
        return X509CertificateLoader.LoadPkcs12(ephemeral.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>With TLS 1.3 a client learns of its refusal only when it reads: the connection must speak TLS and then close without a byte.</summary>
    private static async Task<string> ProbeAsync(int port, X509Certificate2? certificate)
    {
        using CancellationTokenSource deadline = new(TimeSpan.FromSeconds(10));
        using TcpClient client = new();
        await client.ConnectAsync(IPAddress.Loopback, port, deadline.Token);
        await using SslStream tls = new(client.GetStream());
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "127.0.0.1",
                ClientCertificates = certificate is null ? null : [certificate],
                RemoteCertificateValidationCallback = (_, server, _, _) => server is not null,
            }, deadline.Token);
            Assert.Equal(SslProtocols.Tls13, tls.SslProtocol);
            await tls.WriteAsync(new byte[64], deadline.Token);
            int read = await tls.ReadAsync(new byte[1], deadline.Token);
            return read == 0 ? "refused: closed" : "ACCEPTED: it answered";
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            return "refused: " + exception.Message;
        }
    }

    private sealed class PastClock(TimeSpan behind) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() - behind;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();

    [GeneratedRegex(@"control ([^)]+)\)")]
    private static partial Regex Seed();
}
