using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Nodes whose clock is two hours off, beside a cell whose clock is right. The library <c>faketime</c> of Debian's package of that name shifts the clock of one process.</summary>
public sealed partial class ClockTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly TenantId s_tenant = new("acme");

    private readonly TemporaryFolder _folder = new();
    private readonly List<LaminaProcess> _processes = [];

    /// <summary>Ahead, every certificate is still valid, and the node is one like any other. Behind, the coordinator's is not valid yet: the node refuses it, says why, and keeps asking.</summary>
    [Trait("Attack", "H6")]
    [Fact]
    public async Task Nodes_TwoHoursAheadAndBehind_JoinOrRefuseWithACountedReasonAndNobodyEnds()
    {
        Assert.SkipUnless(AttackScale.IsFull, "the library that shifts a process' clock stands between it and every wait; ./test --attack-board runs it");
        string? library = Directory.Exists("/usr/lib") ? Directory.EnumerateFiles("/usr/lib", "libfaketimeMT.so.1", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 3 }).FirstOrDefault() : null;
        Assert.SkipWhen(library is null, "the clock of a single process can be shifted only with libfaketime (Debian's package faketime)");

        // The root and the late node's own certificate are from this morning: that node finds nothing wrong with itself.
        PkiFolder past = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test", new PastClock(TimeSpan.FromHours(3)));
        past.AddTenant(s_tenant);
        CertificateFiles ofBehind = past.Issue(s_tenant, PeerRole.Node, "behind", s_loopback);
        PkiFolder pki = PkiFolder.Open(past.FolderPath);
        CertificateFiles front = pki.Issue(s_tenant, PeerRole.Coordinator, "front", s_loopback);
        LaminaProcess coordinator = Start("coordinator", null, new
        {
            Coordinator = new
            {
                Listen = "127.0.0.1:0",
                StorePath = Path.Combine(_folder.Path, "store"),
                Cells = new[]
                {
                    new
                    {
                        Tenant = s_tenant.Value, Name = "front", front.CertificatePath, front.KeyPath, front.TrustBundlePath,
                        Models = new[] { new { Path = Repository.File("models/lamina-tiny-q8_0.gguf"), Nodes = 1 } },
                    },
                },
            },
        });
        string line = await coordinator.WaitForLineAsync("coordinator: API at", s_limit);
        string seed = Seed().Match(line).Groups[1].Value;
        using HttpClient http = new() { BaseAddress = new Uri(Address().Match(line).Value), Timeout = TimeSpan.FromMinutes(3) };
        StartNode(pki.Issue(s_tenant, PeerRole.Node, "right", s_loopback), "right", seed, null);
        await Eventually.TrueAsync(async () => (await StatusAsync(http))["deployments"]![0]!["phase"]!.GetValue<string>() == "Ready", s_limit, () => "the cell never became ready\n" + Logs());
        string answer = await http.AnswerAsync(ChatApi.Chat(ChatApi.User("What is 27 + 15?"), maxTokens: 16));

        LaminaProcess ahead = StartNode(pki.Issue(s_tenant, PeerRole.Node, "ahead", s_loopback), "ahead", seed, Shifted(library, "+2h"));
        LaminaProcess behind = StartNode(ofBehind, "behind", seed, Shifted(library, "-2h"));
        using HttpClient late = new() { BaseAddress = new Uri(HealthAddress().Match(await behind.WaitForLineAsync("health at", s_limit)).Groups[1].Value) };
        await Eventually.TrueAsync(async () => Refused(await late.GetStringAsync("metrics"), "not_yet_valid") > 1, s_limit, () => "the late node never counted why it refuses the coordinator\n" + Logs());
        await Eventually.TrueAsync(async () => await KnowsAsync(http, "ahead"), s_limit, () => "the early node was never known\n" + Logs());

        // The shift is real: each line of a log bears its process' own time.
        (DateTimeOffset First, DateTimeOffset Second) = (LogTime(ahead), LogTime(behind));
        output.WriteLine($"ahead logs at {First:u}, behind at {Second:u}; behind refused the coordinator {Refused(await late.GetStringAsync("metrics"), "not_yet_valid")} times");
        Assert.InRange((First - Second).TotalHours, 3.5, 4.5);

        Assert.False(await KnowsAsync(http, "behind"));
        Assert.True(await KnowsAsync(http, "right"));
        Assert.Equal(answer, await http.AnswerAsync(ChatApi.Chat(ChatApi.User("What is 27 + 15?"), maxTokens: 16)));
        Assert.All(_processes, process => Assert.False(process.HasExited, process.Error));
    }

    public void Dispose()
    {
        _processes.ForEach(process => process.Dispose());
        _folder.Dispose();
    }

    private static Dictionary<string, string> Shifted(string library, string by) => new()
    {
        ["LD_PRELOAD"] = library,
        ["FAKETIME"] = by,

        // Durations stay what they are; waits for a condition would never end otherwise.
        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        ["DONT_FAKE_MONOTONIC"] = "1",
    };

    private static async Task<JsonNode> StatusAsync(HttpClient http) => JsonNode.Parse(await http.GetStringAsync("status.json"))!;

    private static async Task<bool> KnowsAsync(HttpClient http, string node) => (await StatusAsync(http))["nodes"]!.AsArray().Any(known => known!["name"]!.GetValue<string>() == node);

    private static long Refused(string metrics, string reason) =>
        Regex.Match(metrics, $"lamina_cluster_mtls_rejected_total\\{{reason=\"{reason}\"\\}} ([0-9]+)") is { Success: true } count ? long.Parse(count.Groups[1].Value, CultureInfo.InvariantCulture) : 0;

    private static DateTimeOffset LogTime(LaminaProcess process) =>
        DateTimeOffset.Parse(JsonNode.Parse(process.Error.Split('\n').Last(line => line.StartsWith("{\"time\"", StringComparison.Ordinal)))!["time"]!.GetValue<string>(), CultureInfo.InvariantCulture);

    private LaminaProcess StartNode(CertificateFiles files, string name, string seed, Dictionary<string, string>? environment) => Start("node", environment, new
    {
        Node = new
        {
            Tenant = s_tenant.Value, Name = name, files.CertificatePath, files.KeyPath, files.TrustBundlePath, Seeds = new[] { seed }, CachePath = Path.Combine(_folder.Path, "cache-" + name), Threads = 1,
        },
        Health = new { Listen = "127.0.0.1:0" },
    });

    private LaminaProcess Start(string command, Dictionary<string, string>? environment, object configuration)
    {
        string path = Path.Combine(_folder.Path, $"{command}-{_processes.Count}.json");
        File.WriteAllText(path, JsonSerializer.Serialize(configuration));
        LaminaProcess process = LaminaProcess.Start([command, "--config", path], environment);
        _processes.Add(process);
        return process;
    }

    private string Logs() => string.Join('\n', _processes.Select(process => $"--- process {process.Id}\n{process.Error}"));

    private sealed class PastClock(TimeSpan behind) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() - behind;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();

    [GeneratedRegex("health at (http://[^/ ]+/?)")]
    private static partial Regex HealthAddress();

    [GeneratedRegex(@"control ([^)]+)\)")]
    private static partial Regex Seed();
}
