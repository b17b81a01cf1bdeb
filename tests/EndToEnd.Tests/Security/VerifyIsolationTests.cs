using System.Net;
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
        Assert.All(crossings, crossing => Assert.Equal(IsOfCaches(crossing!) ? "not tried" : "held", crossing!["result"]!.GetValue<string>()));

        // Nothing computes here; TenantBorderTests has cells that do.
        Assert.Equal(2, crossings.Count(crossing => IsOfCaches(crossing!)));
        foreach (string what in new[] { "no certificate", "from another authority", "its own valid certificate", "claiming tenant", "claiming another member's name", "an address that it does not name", "a role that is not its own", "an epoch that is over", "no key", "key file", "common authority", "list of models", "POST /v1/chat/completions of" })
        {
            Assert.Contains(crossings, crossing => crossing!["what"]!.GetValue<string>().Contains(what, StringComparison.Ordinal));
        }

        Assert.False(coordinator.HasExited);

        // A door left open is a line and an exit code.
        File.SetUnixFileMode(Path.Combine(store, "acme"), (UnixFileMode)0b111_101_101);
        using LaminaProcess open = await LaminaProcess.RunAsync(s_limit, "verify-isolation", "--config", configuration);
        Assert.Equal(1, open.ExitCode);
        Assert.Single(open.Output.Split('\n'), line => line.StartsWith("CROSSED", StringComparison.Ordinal));
    }

    private static bool IsOfCaches(JsonNode crossing) => crossing["what"]!.GetValue<string>().Contains("cache", StringComparison.Ordinal);

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
        await File.WriteAllTextAsync(path, JsonSerializer.Serialize(new { Coordinator = new { Listen = $"127.0.0.1:{FreePorts.Take()}", StorePath = store, Cells = new[] { Cell("acme"), Cell("globex") } } }));
        return path;
    }
}
