using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>A coordinator and nodes started one by one from configuration files, as on different machines.</summary>
internal sealed partial class ConfiguredCell : IDisposable
{
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
    private readonly List<LaminaProcess> _processes = [];
    private readonly Dictionary<string, LaminaProcess> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _controlPorts = new(StringComparer.Ordinal);
    private PkiFolder _pki = null!;
    private string _seed = "";
    private string _coordinatorConfiguration = "";

    public static TenantId Tenant { get; } = new("acme");

    public LaminaProcess Coordinator { get; private set; } = null!;

    public IReadOnlyDictionary<string, LaminaProcess> Nodes => _nodes;

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromMinutes(3) };

    public string Logs => string.Join('\n', _processes.Select(process => $"--- process {process.Id}\n{process.Error}"));

    /// <summary>Issues certificates, starts all processes and waits until the model serves and every node is known.</summary>
    /// <param name="plannedNodes">Nodes the deployment is planned for.</param>
    public static async Task<ConfiguredCell> StartAsync(int nodes, int plannedNodes)
    {
        var cell = new ConfiguredCell();
        try
        {
            cell._pki = PkiFolder.Init(Path.Combine(cell._folder, "pki"), "test");
            cell._pki.AddTenant(Tenant);
            cell.StartCoordinator(plannedNodes);
            string line = await cell.Coordinator.WaitForLineAsync("coordinator: API at", s_limit);
            cell._seed = Seed().Match(line).Groups[1].Value;
            cell.Http.BaseAddress = new Uri(Address().Match(line).Value);
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

    /// <summary>Starts a node, or starts it again under its name, address and cache.</summary>
    public LaminaProcess StartNode(string name)
    {
        CertificateFiles files = _pki.Issue(Tenant, PeerRole.Node, name, s_loopback);
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
                ["ControlPort"] = _controlPorts.TryGetValue(name, out int port) ? port : _controlPorts[name] = FreePort(),
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
        Coordinator = LaminaProcess.Start("coordinator", "--config", _coordinatorConfiguration);
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
        CertificateFiles files = _pki.Issue(Tenant, PeerRole.Coordinator, "front", s_loopback);
        Coordinator = Start("coordinator", new Dictionary<string, object>
        {
            ["Coordinator"] = new Dictionary<string, object>
            {
                ["Listen"] = $"127.0.0.1:{FreePort()}",
                ["StorePath"] = Path.Combine(_folder, "store"),
                ["Cells"] = new[]
                {
                    new Dictionary<string, object>
                    {
                        ["Tenant"] = Tenant.Value,
                        ["Name"] = "front",
                        ["ControlPort"] = FreePort(),
                        ["LinkPort"] = FreePort(),
                        ["CertificatePath"] = files.CertificatePath,
                        ["KeyPath"] = files.KeyPath,
                        ["TrustBundlePath"] = files.TrustBundlePath,
                        ["Models"] = new[] { new Dictionary<string, object> { ["Path"] = Repository.File("models/lamina-tiny-q8_0.gguf"), ["Nodes"] = plannedNodes } },
                    },
                },
            },
        });
    }

    private LaminaProcess Start(string command, Dictionary<string, object> configuration)
    {
        string path = Path.Combine(_folder, $"{command}-{_processes.Count}.json");
        _coordinatorConfiguration = command == "coordinator" ? path : _coordinatorConfiguration;
        File.WriteAllText(path, JsonSerializer.Serialize(configuration));
        LaminaProcess process = LaminaProcess.Start(command, "--config", path);
        _processes.Add(process);
        return process;
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [GeneratedRegex("http://[^/]+/")]
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
