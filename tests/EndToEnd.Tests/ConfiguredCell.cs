using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.EndToEnd.Tests.Security;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>A coordinator and nodes started one by one from configuration files, as on different machines.</summary>
internal sealed partial class ConfiguredCell : IDisposable
{
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
    private readonly List<LaminaProcess> _processes = [];
    private readonly Dictionary<string, LaminaProcess> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _controlPorts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Endpoint Port, CertificateFiles Files)> _linkPorts = new(StringComparer.Ordinal);
    private HttpsFiles? _https;
    private string _model = "";
    private IReadOnlyDictionary<string, string>? _environment;
    private bool _asksForKeys;
    private string _seed = "";
    private string _coordinatorConfiguration = "";

    public static TenantId Tenant { get; } = new("acme");

    public PkiFolder Pki { get; private set; } = null!;

    /// <summary>Of the coordinator and of each node that was started, with the files it was given.</summary>
    public IEnumerable<(Endpoint Port, CertificateFiles Files)> LinkPorts => _linkPorts.Values;

    public string Key { get; private set; } = "";

    /// <summary>Of everything that the cell keeps on disk.</summary>
    public string FolderPath => _folder;

    public LaminaProcess Coordinator { get; private set; } = null!;

    public IReadOnlyDictionary<string, LaminaProcess> Nodes => _nodes;

    public HttpClient Http { get; private set; } = null!;

    public string Logs => string.Join('\n', _processes.Select(process => $"--- process {process.Id}\n{process.Error}"));

    /// <summary>Issues certificates, starts all processes and waits until the model serves and every node is known.</summary>
    /// <param name="plannedNodes">Nodes the deployment is planned for.</param>
    /// <param name="https">Null answers in plain HTTP.</param>
    /// <param name="model">Null = the built-in one.</param>
    /// <param name="environment">Of every process.</param>
    /// <param name="asksForKeys">Whether callers need a key; <see cref="Http"/> has one then, <see cref="Key"/>.</param>
    public static async Task<ConfiguredCell> StartAsync(
        int nodes, int plannedNodes, HttpsFiles? https = null, string? model = null, IReadOnlyDictionary<string, string>? environment = null, bool asksForKeys = false)
    {
        var cell = new ConfiguredCell { _https = https, _model = model ?? Repository.File("models/lamina-tiny-q8_0.gguf"), _environment = environment, _asksForKeys = asksForKeys };
        cell.Http = cell.NewClient();
        try
        {
            cell.Pki = PkiFolder.Init(Path.Combine(cell._folder, "pki"), "test");
            cell.Pki.AddTenant(Tenant);
            cell.StartCoordinator(plannedNodes);
            string line = await cell.Coordinator.WaitForLineAsync("coordinator: API at", s_limit);
            cell._seed = Seed().Match(line).Groups[1].Value;
            cell.Http.BaseAddress = new Uri(Address().Match(line).Value);
            if (asksForKeys)
            {
                using LaminaProcess created = await LaminaProcess.RunAsync(s_limit, "key", "create", Tenant.Value, "--scope", "inference,usage", "--config", cell._coordinatorConfiguration);
                Assert.True(created.ExitCode == 0, created.Error);
                cell.Key = created.Output.Trim();
                cell.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", cell.Key);
                await Eventually.TrueAsync(async () => (await cell.Http.GetAsync("v1/models")).IsSuccessStatusCode, s_limit, "the key was never taken");
            }

            foreach (int number in Enumerable.Range(1, nodes))
            {
                cell.StartNode($"node-{number}");
            }

            await cell.WaitAsync(status => status.Phase == "Ready" && status.Nodes.Count == nodes, "ready with all nodes");
            return cell;
        }
        catch
        {
            cell.Dispose();
            throw;
        }
    }

    /// <summary>A client with connections of its own.</summary>
    public HttpClient NewClient()
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => _https!.Issued(certificate);
        return new HttpClient(handler) { BaseAddress = Http?.BaseAddress, Timeout = TimeSpan.FromMinutes(3) };
    }

    /// <summary>Starts a node, or starts it again under its name, address and cache.</summary>
    public LaminaProcess StartNode(string name)
    {
        CertificateFiles files = Pki.Issue(Tenant, PeerRole.Node, name, s_loopback);
        LaminaProcess process = Start("node", new Dictionary<string, object>
        {
            ["Node"] = new Dictionary<string, object>
            {
                ["Tenant"] = Tenant.Value,
                ["Name"] = name,
                ["CertificatePath"] = files.CertificatePath,
                ["KeyPath"] = files.KeyPath,
                ["TrustBundlePath"] = files.TrustBundlePath,
                ["Seeds"] = new[] { _seed },
                ["CachePath"] = Path.Combine(_folder, "cache-" + name),
                ["LinkPort"] = LinkPortOf(name, files),
                ["ControlPort"] = _controlPorts.TryGetValue(name, out int port) ? port : _controlPorts[name] = FreePorts.Take(),
                ["Threads"] = 1,
            },
        });
        _nodes[name] = process;
        return process;
    }

    /// <summary>SIGKILL to the coordinator, then a new one with the same configuration, store and addresses; nodes that ended with the old one are started again.</summary>
    public async Task RestartCoordinatorAsync()
    {
        LaminaProcess.Send(Coordinator.Id, 9);
        await Coordinator.WaitForExitAsync(s_limit);
        Coordinator = LaminaProcess.Start(["coordinator", "--config", _coordinatorConfiguration], _environment);
        _processes.Add(Coordinator);
        await Coordinator.WaitForLineAsync("coordinator: API at", s_limit);
        foreach (string name in _nodes.Keys.ToArray())
        {
            // As a supervisor would: a node does not outlive the cell that it belonged to.
            // Some have noticed by themselves that it has ended.
            _processes.Remove(_nodes[name]);
            _nodes[name].Dispose();
            StartNode(name);
        }

        await WaitAsync(status => status.Phase == "Ready", "ready again");
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync(string node)
    {
        LaminaProcess.Send(_nodes[node].Id, 9);
        await _nodes[node].WaitForExitAsync(s_limit);
        _nodes.Remove(node);
    }

    public async Task<CellStatus> StatusAsync()
    {
        JsonNode json = JsonNode.Parse(await Http.GetStringAsync("status.json"))!;
        JsonNode deployment = json["deployments"]![0]!;
        return new CellStatus(
            deployment["phase"]!.GetValue<string>(),
            deployment["epoch"]!.GetValue<int>(),
            [.. deployment["stages"]!.AsArray().Select(stage => stage!["node"]!.GetValue<string>())],
            json["nodes"]!.AsArray().ToDictionary(node => node!["name"]!.GetValue<string>(), node => (node!["processId"]!.GetValue<int>(), node["memoryUsedBytes"]!.GetValue<long>())));
    }

    public async Task<CellStatus> WaitAsync(Func<CellStatus, bool> condition, string what)
    {
        CellStatus? last = null;
        long until = Environment.TickCount64 + (long)s_limit.TotalMilliseconds;
        while (last is null || !condition(last))
        {
            Assert.True(Environment.TickCount64 < until, $"never {what}; last: {last}\n{Logs}");
            await Task.Delay(20);
            last = await StatusAsync();
        }

        return last;
    }

    public void Dispose()
    {
        Http.Dispose();
        foreach (LaminaProcess process in _processes)
        {
            process.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private void StartCoordinator(int plannedNodes)
    {
        CertificateFiles files = Pki.Issue(Tenant, PeerRole.Coordinator, "front", s_loopback);
        var coordinator = new Dictionary<string, object>
        {
            ["Listen"] = $"127.0.0.1:{FreePorts.Take()}",
            ["StorePath"] = Path.Combine(_folder, "store"),
            ["Cells"] = new[]
            {
                new Dictionary<string, object>
                {
                    ["Tenant"] = Tenant.Value,
                    ["Name"] = "front",
                    ["ControlPort"] = FreePorts.Take(),
                    ["LinkPort"] = LinkPortOf("", files),
                    ["CertificatePath"] = files.CertificatePath,
                    ["KeyPath"] = files.KeyPath,
                    ["TrustBundlePath"] = files.TrustBundlePath,
                    ["Models"] = new[] { new Dictionary<string, object> { ["Path"] = _model, ["Nodes"] = plannedNodes } },
                },
            },
        };
        if (_asksForKeys)
        {
            coordinator["RequireKeys"] = true;
        }

        if (_https is not null)
        {
            coordinator["Tls"] = new { _https.CertificatePath, _https.KeyPath };
        }

        Coordinator = Start("coordinator", new Dictionary<string, object> { ["Coordinator"] = coordinator });
    }

    private LaminaProcess Start(string command, Dictionary<string, object> configuration)
    {
        string path = Path.Combine(_folder, $"{command}-{_processes.Count}.json");
        _coordinatorConfiguration = command == "coordinator" ? path : _coordinatorConfiguration;
        File.WriteAllText(path, JsonSerializer.Serialize(configuration));
        LaminaProcess process = LaminaProcess.Start([command, "--config", path], _environment);
        _processes.Add(process);
        return process;
    }

    private int LinkPortOf(string process, CertificateFiles files) =>
        (_linkPorts.TryGetValue(process, out (Endpoint Port, CertificateFiles Files) known) ? known : _linkPorts[process] = (new Endpoint("127.0.0.1", FreePorts.Take()), files)).Port.Port;

    [GeneratedRegex("https?://[^/]+/")]
    private static partial Regex Address();

    [GeneratedRegex(@"control ([^)]+)\)")]
    private static partial Regex Seed();
}

/// <summary>What <c>/status.json</c> says.</summary>
/// <param name="Stages">Node of each stage, head first.</param>
internal sealed record CellStatus(string Phase, int Epoch, IReadOnlyList<string> Stages, IReadOnlyDictionary<string, (int ProcessId, long MemoryUsedBytes)> Nodes)
{
    public override string ToString() => $"{Phase} epoch {Epoch}, stages {string.Join(' ', Stages)}, nodes {string.Join(' ', Nodes.Keys)}";
}
