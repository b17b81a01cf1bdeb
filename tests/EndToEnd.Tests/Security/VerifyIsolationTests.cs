using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>The report on a running coordinator of two cells, and that it is not always the same.</summary>
public sealed class VerifyIsolationTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Trait("Attack", "I2")]
    [Trait("Attack", "I4")]
    [Trait("Attack", "I5")]
    [Fact]
    public async Task Report_OfTwoCells_HoldsAndNamesWhatDoesNot()
    {
        string store = Path.Combine(_folder.Path, "store");
        string configuration = await ConfigureAsync(store);
        using LaminaProcess coordinator = LaminaProcess.Start("coordinator", "--config", configuration);
        await coordinator.WaitForLineAsync("coordinator: API at", s_limit);
        string[] keys = [.. await Task.WhenAll(new[] { "acme", "globex" }.Select(tenant => KeyAsync(tenant, configuration)))];

        using LaminaProcess report = await LaminaProcess.RunAsync(s_limit, ["verify-isolation", "--config", configuration, "--json", "--key", $"acme={keys[0]}", "--key", $"globex={keys[1]}"]);
        JsonNode found = JsonNode.Parse(report.Output)!;
        JsonArray crossings = found["crossings"]!.AsArray();
        Assert.True(report.ExitCode == 0, report.Output);
        Assert.True(found["isolated"]!.GetValue<bool>());

        // Nothing computes here, and no node has stages; TenantBorderTests has cells that do, TwoLayersTests nodes.
        string[] notTried = ["the cache of a prompt", "a response of globex", "a generation of globex", "a response of acme", "a generation of acme"];
        Assert.All(crossings, crossing => Assert.Equal(
            notTried.Contains(crossing!["what"]!.GetValue<string>()) || crossing["what"]!.GetValue<string>().EndsWith("an epoch that is over", StringComparison.Ordinal) ? "not tried" : "held", crossing["result"]!.GetValue<string>()));
        Assert.Equal(8, crossings.Count(crossing => crossing!["result"]!.GetValue<string>() == "not tried"));
        foreach (string what in new[] { "no certificate", "from another authority", "its own valid certificate", "claiming tenant", "claiming another member's name", "an address that it does not name", "a role that is not its own", "an epoch that is over", "GET /v1/responses/{id}/input_items with no key", "DELETE /admin/tenants/{tenant} with a tenant's key", "GET /v1/files/{id}/content of globex", "POST /v1/batches of acme", "/audit", "state.db", "key file", "common authority", "list of models", "POST /v1/chat/completions of" })
        {
            Assert.Contains(crossings, crossing => crossing!["what"]!.GetValue<string>().Contains(what, StringComparison.Ordinal));
        }

        foreach (string listener in new[] { "the API", "the admin listener", "the health listener" })
        {
            Assert.Contains(crossings, crossing => crossing!["into"]!.GetValue<string>() == listener);
        }

        Assert.False(coordinator.HasExited);

        // A door left open is a line and an exit code.
        File.SetUnixFileMode(Path.Combine(store, "acme"), (UnixFileMode)0b111_101_101);
        using LaminaProcess open = await LaminaProcess.RunAsync(s_limit, "verify-isolation", "--config", configuration);
        Assert.Equal(1, open.ExitCode);
        Assert.Single(open.Output.Split('\n'), line => line.StartsWith("CROSSED", StringComparison.Ordinal));
    }

    /// <summary>A coordinator that has ended lets nobody in, which shows nothing.</summary>
    [Trait("Attack", "I2")]
    [Fact]
    public async Task Report_OnACoordinatorThatDoesNotRun_IsNoGoodReport()
    {
        string configuration = await ConfigureAsync(Path.Combine(_folder.Path, "store"));
        using LaminaProcess report = await LaminaProcess.RunAsync(s_limit, "verify-isolation", "--config", configuration, "--json", "--allow-unreachable");
        Assert.True(report.ExitCode == 3, report.Output + report.Error);
        JsonNode found = JsonNode.Parse(report.Output)!;
        Assert.False(found["isolated"]!.GetValue<bool>());
        JsonNode[] ports = [.. found["crossings"]!.AsArray().Select(crossing => crossing!).Where(crossing => crossing["into"]!.GetValue<string>() is "acme" or "globex" && crossing["what"]!.GetValue<string>().Contains(" port ", StringComparison.Ordinal))];

        // Of each cell two ports, tried from within it and from the other, whose policies might be what keeps it out.
        Assert.Equal(8, ports.Length);
        Assert.All(ports, crossing => Assert.Equal(crossing["from"]!.GetValue<string>() == crossing["into"]!.GetValue<string>() ? "not tried" : "held", crossing["result"]!.GetValue<string>()));
        Assert.True(found["unproven"]!.GetValue<int>() >= 7, report.Output); // four ports, the API, the admin and the health listener
    }

    [Trait("Attack", "I2")]
    [Fact]
    public async Task Report_OnPortsThatAreNotTheCells_IsNoGoodReport()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test");
        pki.AddTenant(new TenantId("acme"));
        CertificateFiles own = pki.Issue(new TenantId("acme"), PeerRole.Node, "node-1", s_loopback);
        string identity = Path.GetDirectoryName(own.CertificatePath)!;
        using var resets = new TcpListener(IPAddress.Loopback, 0);
        resets.Start();
        using var stop = new CancellationTokenSource();
        Task closing = CloseAllAsync(resets, stop.Token);
        int reset = ((IPEndPoint)resets.LocalEndpoint).Port, closed = FreePorts.Take();
        (string Target, string[] Options, int ExitCode, string Detail)[] cases =
        [
            ($"acme/control=127.0.0.1:{reset}", [], 3, "nothing there shows a certificate of a cell"),
            ($"globex/link=127.0.0.1:{reset}", ["--allow-unreachable"], 3, "nothing there shows a certificate of a cell"),
            ($"globex/link=127.0.0.1:{closed}", [], 3, "the port cannot be reached from here"),
            ($"globex/link=127.0.0.1:{closed}", ["--allow-unreachable"], 0, "not reachable"),
            ($"acme/link=127.0.0.1:{closed}", ["--allow-unreachable"], 3, "the port cannot be reached from here"),
            ("globex/link=no-such-machine.invalid:7071", ["--allow-unreachable"], 3, "'no-such-machine.invalid' is not the name of a machine here"),
        ];
        await Task.WhenAll(cases.Select(async tried =>
        {
            using LaminaProcess report = await LaminaProcess.RunAsync(s_limit, ["verify-isolation", "--identity", identity, "--target", tried.Target, .. tried.Options]);
            Assert.True(report.ExitCode == tried.ExitCode && report.Output.Contains(tried.Detail, StringComparison.Ordinal), $"{tried}: {report.ExitCode}\n{report.Output}{report.Error}");
        }));
        await stop.CancelAsync();
        await closing;
    }

    private static async Task CloseAllAsync(TcpListener listener, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                using Socket socket = await listener.AcceptSocketAsync(stop);
                socket.Close(0);
            }
        }
        catch (OperationCanceledException)
        {
            // All cases are done.
        }
    }

    [Fact]
    public async Task Report_WhereNothingRuns_IsNoReport()
    {
        using LaminaProcess report = await LaminaProcess.RunAsync(s_limit, "verify-isolation", "--config", Path.Combine(_folder.Path, "none.json"));
        Assert.Equal(1, report.ExitCode);
        Assert.Contains("does not exist", report.Error, StringComparison.Ordinal);
    }

    private async Task<string> KeyAsync(string tenant, string configuration)
    {
        using LaminaProcess made = await LaminaProcess.RunAsync(s_limit, "key", "create", tenant, "--config", configuration);
        Assert.True(made.ExitCode == 0, made.Output + made.Error);
        string text = (made.Output + "\n" + made.Error).Split([' ', '\n']).First(word => word.StartsWith("lam_", StringComparison.Ordinal)).Trim();
        string path = Path.Combine(_folder.Path, tenant + ".key");
        await File.WriteAllTextAsync(path, text);
        return path;
    }

    private async Task<string> ConfigureAsync(string store)
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test");
        object Cell(string tenant)
        {
            var id = new TenantId(tenant);
            pki.AddTenant(id);
            CertificateFiles files = pki.Issue(id, PeerRole.Coordinator, "front", s_loopback);
            return new
            {
                Tenant = tenant,
                Name = "front",
                files.CertificatePath,
                files.KeyPath,
                files.TrustBundlePath,
                ControlPort = FreePorts.Take(),
                LinkPort = FreePorts.Take(),
                Models = new[] { new { Name = tenant + "-model", Path = Repository.File("models/lamina-tiny-q8_0.gguf") } },
            };
        }

        string path = Path.Combine(_folder.Path, "coordinator.json");
        await File.WriteAllTextAsync(path, JsonSerializer.Serialize(new { Health = new { Listen = $"127.0.0.1:{FreePorts.Take()}" }, Coordinator = new { Admin = new { Listen = $"127.0.0.1:{FreePorts.Take()}" }, Listen = $"127.0.0.1:{FreePorts.Take()}", StorePath = store, Cells = new[] { Cell("acme"), Cell("globex") } } }));
        return path;
    }
}
