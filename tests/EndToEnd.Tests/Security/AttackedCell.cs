using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>
/// A coordinator and two nodes, which serve one pipeline, as processes of their own; shared by the tests of a class. The nodes listen on an address of their own, and what they tell the others leads
/// through a proxy that a test may let interfere.
/// </summary>
public sealed partial class AttackedCell : IAsyncLifetime
{
    private const string Question = "What is 27 + 15?";
    private static readonly string[] s_hosts = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly IPAddress s_apart = IPAddress.Parse("127.0.0.2");

    private readonly TemporaryFolder _folder = new();
    private readonly List<Member> _members = [];
    private readonly Dictionary<string, CertificateFiles> _files = [];
    private string _answer = "";

    public static TenantId Tenant { get; } = new("acme");

    /// <summary>A process and its ports, not those of its proxy.</summary>
    internal sealed record Member(string Name, LaminaProcess Process, IPEndPoint Control, IPEndPoint Link, Endpoint Advertised, HttpClient Health, FrameProxy? Proxy);

    internal IReadOnlyList<Member> Members => _members;

    internal Member Coordinator => _members[0];

    internal IEnumerable<Member> Nodes => _members.Skip(1);

    internal HttpClient Http { get; } = new() { Timeout = TimeSpan.FromMinutes(3) };

    /// <summary>Of a node of the same cell that is none of those that serve.</summary>
    internal X509Certificate2 Mallory { get; private set; } = null!;

    internal string Logs => string.Join('\n', _members.Select(member => $"--- {member.Name}\n{member.Process.Error}"));

    internal string CacheOf(string node) => Path.Combine(_folder.Path, "cache-" + node);

    public async ValueTask InitializeAsync()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test");
        pki.AddTenant(Tenant);
        _files["front"] = pki.Issue(Tenant, PeerRole.Coordinator, "front", s_hosts);
        foreach (string name in new[] { "node-1", "node-2", "mallory" })
        {
            _files[name] = pki.Issue(Tenant, PeerRole.Node, name, s_hosts);
        }

        Mallory = HostilePeer.Certificate(_files["mallory"]);
        (int control, int link) = (FreePorts.Take(), FreePorts.Take());
        Member front = await StartAsync("front", "coordinator", new(IPAddress.Loopback, control), new(IPAddress.Loopback, link), null, new
        {
            Coordinator = new
            {
                Listen = "127.0.0.1:0",
                StorePath = Path.Combine(_folder.Path, "store"),
                Cells = new[]
                {
                    new
                    {
                        Tenant = Tenant.Value, Name = "front", ControlPort = control, LinkPort = link, _files["front"].CertificatePath, _files["front"].KeyPath, _files["front"].TrustBundlePath,
                        Models = new[] { new { Path = Repository.File("models/lamina-tiny-q8_0.gguf"), Nodes = 2 } },
                    },
                },
            },
            Health = new { Listen = "127.0.0.1:0" },
        });
        Http.BaseAddress = new Uri(Address().Match(await front.Process.WaitForLineAsync("coordinator: API at", s_limit)).Value);
        foreach (string name in new[] { "node-1", "node-2" })
        {
            await StartNodeAsync(name, FreePorts.Take(), FreePorts.Take(), front.Control);
        }

        await WaitAsync(status => status.Phase == "Ready", "ready");
        _answer = await AskAsync();
        Assert.NotEmpty(_answer);
    }

    public ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (Member member in _members)
        {
            member.Process.Dispose();
            member.Health.Dispose();
            member.Proxy?.Dispose();
        }

        Mallory.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Greedy, so the same tokens each time; long enough to cross the pipeline many times.</summary>
    internal Task<string> AskAsync() => Http.AnswerAsync(ChatApi.Chat(ChatApi.User(Question), maxTokens: 24));

    /// <summary>As the first answer; or, where the pipeline did not come back before the coordinator's patience ended, 503.</summary>
    internal async Task AssertAnswersOrSaysNotReadyAsync()
    {
        using HttpResponseMessage response = await Http.PostAsJsonAsync("v1/chat/completions", ChatApi.Chat(ChatApi.User(Question), maxTokens: 24));
        string text = await response.Content.ReadAsStringAsync();
        if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
        {
            Assert.True(response.IsSuccessStatusCode, text);
            Assert.Equal(_answer, JsonNode.Parse(text)!["choices"]![0]!["message"]!["content"]!.GetValue<string>());
        }
    }

    internal Dictionary<string, long> Memory() => _members.ToDictionary(member => member.Name, member => ProcessTable.ResidentBytes(member.Process.Id));

    /// <summary>No process has ended or grown by more than the bound, and the next generation says what the first one said.</summary>
    internal async Task AssertUnharmedAsync(Dictionary<string, long> before, ITestOutputHelper output, long growth = 64L << 20)
    {
        Assert.Equal(_answer, await AskAsync());
        Assert.All(_members, member => Assert.False(member.Process.HasExited, Logs));
        Dictionary<string, long> after = Memory();
        output.WriteLine(string.Join(", ", after.Select(member => $"{member.Key} {member.Value >> 20} MiB ({(member.Value - before[member.Key]) >> 20:+0;-0;0})")));
        Assert.All(after, member => Assert.True(member.Value - before[member.Key] < growth, $"{member.Key} grew by {(member.Value - before[member.Key]) >> 20} MiB\n{Logs}"));
    }

    internal async Task<CellStatus> StatusAsync()
    {
        JsonNode json = JsonNode.Parse(await Http.GetStringAsync("status.json"))!;
        JsonNode deployment = json["deployments"]![0]!;
        return new CellStatus(
            deployment["phase"]!.GetValue<string>(), deployment["epoch"]!.GetValue<int>(), [.. deployment["stages"]!.AsArray().Select(stage => stage!["node"]!.GetValue<string>())],
            new Dictionary<string, (int, long)>());
    }

    internal async Task<CellStatus> WaitAsync(Func<CellStatus, bool> condition, string what)
    {
        CellStatus? last = null;
        await Eventually.TrueAsync(async () => condition(last = await StatusAsync()), s_limit, () => $"never {what}; last: {last}\n{Logs}");
        return last!;
    }

    /// <summary>Sum of a counter's values at a process, of those whose labels hold the text.</summary>
    internal static async Task<long> CountAsync(Member member, string counter, string label = "")
    {
        string text = await member.Health.GetStringAsync("metrics");
        return text.Split('\n').Where(line => line.StartsWith(counter + "{", StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal))
            .Sum(line => (long)double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    private async Task StartNodeAsync(string name, int control, int link, IPEndPoint seed)
    {
        IPEndPoint controlThere = new(s_apart, control), linkThere = new(s_apart, link);
        var proxy = new FrameProxy(link, linkThere, HostilePeer.Certificate(_files[name]), sender => HostilePeer.Certificate(_files[sender]));
        proxy.PassOn(control, controlThere);
        await StartAsync(name, "node", controlThere, linkThere, proxy, new
        {
            Node = new
            {
                Tenant = Tenant.Value, Name = name, _files[name].CertificatePath, _files[name].KeyPath, _files[name].TrustBundlePath, Seeds = new[] { seed.ToString() }, CachePath = CacheOf(name),
                BindAddress = s_apart.ToString(), PublicHost = "127.0.0.1", ControlPort = control, LinkPort = link, Threads = 1,
            },
            Health = new { Listen = "127.0.0.1:0" },
        });
    }

    private async Task<Member> StartAsync(string name, string command, IPEndPoint control, IPEndPoint link, FrameProxy? proxy, object configuration)
    {
        string path = Path.Combine(_folder.Path, name + ".json");
        await File.WriteAllTextAsync(path, JsonSerializer.Serialize(configuration));
        LaminaProcess process = LaminaProcess.Start(command, "--config", path);
        string line = await process.WaitForLineAsync("health at", s_limit);
        var health = new HttpClient { BaseAddress = new Uri(HealthAddress().Match(line).Groups[1].Value) };
        var member = new Member(name, process, control, link, new Endpoint("127.0.0.1", control.Port), health, proxy);
        _members.Add(member);
        return member;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();

    [GeneratedRegex("health at (http://[^/ ]+/?)")]
    private static partial Regex HealthAddress();
}
