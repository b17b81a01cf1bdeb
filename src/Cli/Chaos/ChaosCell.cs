using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Chaos;

/// <summary>What the cell under test is made of.</summary>
internal sealed record ChaosCellOptions
{
    /// <summary>The lamina executable; null = this process' own.</summary>
    public string? Executable { get; init; }

    public required string Model { get; init; }
    public int Coordinators { get; init; } = 2;
    public int Nodes { get; init; } = 4;

    /// <summary>Stages that the deployment is planned with.</summary>
    public int Stages { get; init; } = 3;

    /// <summary>Most copies of the model that serve side by side.</summary>
    public int Pipelines { get; init; } = 1;

    /// <summary>Settings of the model beside path, stages and pipelines.</summary>
    public IReadOnlyDictionary<string, object> ModelSettings { get; init; } = new Dictionary<string, object>();

    /// <summary>Gives each process a network of its own, so that it can be cut off from others. Needs root, ip and nft.</summary>
    public bool Network { get; init; }

    /// <summary>Settings of every node beside the usual ones.</summary>
    public IReadOnlyDictionary<string, object> NodeSettings { get; init; } = new Dictionary<string, object>();
}

/// <summary>What one coordinator says of the cell.</summary>
/// <param name="Stages">Nodes of the serving stages, pipeline by pipeline, heads first.</param>
internal sealed record ChaosStatus(string Phase, int Epoch, IReadOnlyList<string> Stages, IReadOnlyDictionary<string, long> MemoryUsedByNode, string Owner, int FreeKvBlocks, int KvBlocks, int Active);

/// <summary>A cell of real processes on loopback, one for each coordinator and node, with certificates made for this run. Everything it made is gone after disposal.</summary>
internal sealed class ChaosCell : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(180);

    private readonly ChaosCellOptions _options;
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-chaos-").FullName;
    private readonly PkiFolder _pki;
    private readonly Dictionary<string, ChaosProcess> _processes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _controlPorts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _httpPorts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _linkPorts = new(StringComparer.Ordinal);
    private readonly List<ChaosProcess> _all = [];

    private ChaosCell(ChaosCellOptions options)
    {
        _options = options;
        Network = options.Network ? ChaosNetwork.Create([.. CoordinatorNames, .. NodeNames]) : null;
        Http = new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync, MaxConnectionsPerServer = 2048 }) { Timeout = TimeSpan.FromMinutes(10) };
        _pki = PkiFolder.Init(Path.Combine(_folder, "pki"), "chaos");
        _pki.AddTenant(Tenant);
        foreach (string name in CoordinatorNames)
        {
            (_controlPorts[name], _httpPorts[name]) = (FreePorts.Take(), FreePorts.Take());
        }

        foreach (string name in NodeNames)
        {
            _controlPorts[name] = FreePorts.Take();
        }

        // In a network of its own each process has all ports to itself; elsewhere the system finds free ones.
        foreach (string name in Network is null ? [] : CoordinatorNames.Concat(NodeNames))
        {
            _linkPorts[name] = FreePorts.Take();
        }
    }

    public static TenantId Tenant { get; } = new("chaos");

    public string Folder => _folder;

    /// <summary>Stages of a full plan, all pipelines together.</summary>
    public int Stages => _options.Stages * Math.Min(_options.Pipelines, _options.Nodes / _options.Stages);

    public IEnumerable<string> CoordinatorNames => Enumerable.Range(0, _options.Coordinators).Select(i => $"front-{i}");

    public IEnumerable<string> NodeNames => Enumerable.Range(1, _options.Nodes).Select(i => $"node-{i}");

    /// <summary>Reaches every coordinator, wherever its network is.</summary>
    public HttpClient Http { get; }

    /// <summary>The processes' networks; null when they share this machine's loopback.</summary>
    public ChaosNetwork? Network { get; }

    public IEnumerable<ChaosProcess> Running => _processes.Values.Where(process => !process.HasExited);

    /// <summary>Base addresses of the coordinators that are to run.</summary>
    public IReadOnlyList<Uri> Addresses => [.. CoordinatorNames.Select(AddressOf)];

    public ChaosProcess this[string name] => _processes[name];

    /// <summary>What every process said, for whoever has to find out why.</summary>
    public string Logs => string.Join('\n', _all.Select(process => $"--- {process.Name} ({process.Id})\n{process.Said}"));

    private string? _unreachable;

    /// <summary>The deployment's name.</summary>
    public string ModelName { get; private set; } = "";

    public static async Task<ChaosCell> StartAsync(ChaosCellOptions options, CancellationToken cancellation)
    {
        var cell = new ChaosCell(options);
        try
        {
            foreach (string name in cell.CoordinatorNames)
            {
                cell.StartCoordinator(name);
            }

            foreach (string name in cell.NodeNames)
            {
                cell.StartNode(name);
            }

            foreach (string name in cell.CoordinatorNames)
            {
                await cell.WaitAsync(status => status.Phase == "Ready" && status.MemoryUsedByNode.Count == options.Nodes, $"ready with all nodes at {name}", name, cancellation);
            }

            cell.ModelName = Coordinator.Cells.ModelNames.Of(new Coordinator.ModelOptions { Path = options.Model }).Value;
            return cell;
        }
        catch
        {
            cell.Dispose();
            throw;
        }
    }

    public Uri AddressOf(string coordinator) => new($"http://127.0.0.1:{_httpPorts[coordinator]}/");

    public int ControlPortOf(string name) => _controlPorts[name];

    /// <summary>Known where processes have networks of their own.</summary>
    public int LinkPortOf(string name) => _linkPorts[name];

    public ChaosCellOptions Options => _options;

    public bool IsRunning(string name) => _processes.TryGetValue(name, out ChaosProcess? process) && !process.HasExited;

    /// <summary>Starts a process, or starts it again under its name, address and folders.</summary>
    /// <param name="within">Command that it is started through, beside the one that enters its network.</param>
    public void Start(string name, params string[] within)
    {
        if (_httpPorts.ContainsKey(name))
        {
            StartCoordinator(name, within);
        }
        else
        {
            StartNode(name, within);
        }
    }

    public string CachePath(string node) => Path.Combine(_folder, "cache-" + node);

    /// <summary>The state as a coordinator shows it; the first that runs when none is named.</summary>
    public async Task<ChaosStatus?> StatusAsync(string? coordinator = null, CancellationToken cancellation = default)
    {
        foreach (string name in coordinator is null ? CoordinatorNames.Where(IsRunning) : [coordinator])
        {
            try
            {
                using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                deadline.CancelAfter(TimeSpan.FromSeconds(3));
                JsonNode json = JsonNode.Parse(await Http.GetStringAsync(new Uri(AddressOf(name), "status.json"), deadline.Token))!;
                if (json["deployments"] is not JsonArray { Count: > 0 } deployments)
                {
                    continue;
                }

                JsonNode deployment = deployments[0]!;
                return new ChaosStatus(
                    deployment["phase"]!.GetValue<string>(),
                    deployment["epoch"]!.GetValue<int>(),
                    [.. deployment["stages"]!.AsArray().Select(stage => stage!["node"]!.GetValue<string>())],
                    json["nodes"]!.AsArray().ToDictionary(node => node!["name"]!.GetValue<string>(), node => node!["memoryUsedBytes"]!.GetValue<long>()),
                    deployment["owner"]?.GetValue<string>() ?? "",
                    deployment["freeKvBlocks"]!.GetValue<int>(),
                    deployment["kvBlocks"]!.GetValue<int>(),
                    deployment["active"]!.GetValue<int>());
            }
            catch (Exception e) when (e is HttpRequestException or JsonException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
            {
                // This one does not answer; another may.
                _unreachable = $"{name}: {e.Message}";
            }
        }

        return null;
    }

    /// <summary>Waits for a state; throws with the logs when it does not come.</summary>
    public async Task<ChaosStatus> WaitAsync(Func<ChaosStatus, bool> condition, string what, string? coordinator = null, CancellationToken cancellation = default)
    {
        ChaosStatus? last = null;
        long until = Environment.TickCount64 + (long)s_patience.TotalMilliseconds;
        while (last is null || !condition(last))
        {
            if (Environment.TickCount64 > until)
            {
                throw new CommandException($"the cell was never {what}; last seen: {(last is null ? $"nothing, since {_unreachable}" : $"{last.Phase}, epoch {last.Epoch}, stages on {string.Join(", ", last.Stages)}, {last.MemoryUsedByNode.Count} nodes")}\n{Logs}");
            }

            await Task.Delay(25, cancellation);
            last = await StatusAsync(coordinator, cancellation) ?? last;
        }

        return last;
    }

    public void Dispose()
    {
        Http.Dispose();
        foreach (ChaosProcess process in _all)
        {
            process.Dispose();
        }

        Network?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void StartCoordinator(string name, params string[] within)
    {
        CertificateFiles files = _pki.Issue(Tenant, PeerRole.Coordinator, name, [HostOf(name), "localhost"]);
        var model = new Dictionary<string, object>(_options.ModelSettings) { ["Path"] = Path.GetFullPath(_options.Model), ["Nodes"] = _options.Stages, ["Pipelines"] = _options.Pipelines };
        Start(name, within, "coordinator", new Dictionary<string, object>
        {
            ["Coordinator"] = new Dictionary<string, object>
            {
                ["Listen"] = $"127.0.0.1:{_httpPorts[name]}",
                ["StorePath"] = Path.Combine(_folder, "store-" + name),
                ["Cells"] = new[]
                {
                    new Dictionary<string, object>
                    {
                        ["Tenant"] = Tenant.Value,
                        ["Name"] = name,
                        ["CertificatePath"] = files.CertificatePath,
                        ["KeyPath"] = files.KeyPath,
                        ["TrustBundlePath"] = files.TrustBundlePath,
                        ["BindAddress"] = HostOf(name),
                        ["ControlPort"] = _controlPorts[name],
                        ["LinkPort"] = _linkPorts.GetValueOrDefault(name),
                        ["Seeds"] = Seeds(),
                        ["Models"] = new[] { model },
                    },
                },
            },
        });
    }

    private void StartNode(string name, params string[] within)
    {
        CertificateFiles files = _pki.Issue(Tenant, PeerRole.Node, name, [HostOf(name), "localhost"]);
        var node = new Dictionary<string, object>(_options.NodeSettings)
        {
            ["Tenant"] = Tenant.Value,
            ["Name"] = name,
            ["CertificatePath"] = files.CertificatePath,
            ["KeyPath"] = files.KeyPath,
            ["TrustBundlePath"] = files.TrustBundlePath,
            ["Seeds"] = Seeds(),
            ["CachePath"] = CachePath(name),
            ["BindAddress"] = HostOf(name),
            ["ControlPort"] = _controlPorts[name],
            ["LinkPort"] = _linkPorts.GetValueOrDefault(name),
        };
        node.TryAdd("Threads", 1);
        Start(name, within, "node", new Dictionary<string, object> { ["Node"] = node });
    }

    private string[] Seeds() => [.. CoordinatorNames.Select(name => $"{HostOf(name)}:{_controlPorts[name]}")];

    private string HostOf(string name) => Network?.AddressOf(name) ?? "127.0.0.1";

    /// <summary>A connection to the API of a coordinator, past <see cref="Http"/>.</summary>
    /// <param name="receiveBytes">Size of the buffer for what it has received and nobody has read; 0 leaves it to the system.</param>
    public async Task<Socket> ConnectAsync(string coordinator, int receiveBytes, CancellationToken cancellation)
    {
        Socket socket = Network is null ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) : Network.OpenSocket(coordinator);
        try
        {
            socket.NoDelay = true;
            if (receiveBytes > 0)
            {
                socket.ReceiveBufferSize = receiveBytes;
            }

            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, _httpPorts[coordinator]), cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation) =>
        new NetworkStream(await ConnectAsync(_httpPorts.First(pair => pair.Value == context.DnsEndPoint.Port).Key, 0, cancellation), ownsSocket: true);

    private void Start(string name, string[] within, string command, Dictionary<string, object> configuration)
    {
        string path = Path.Combine(_folder, $"{name}.json");
        File.WriteAllText(path, JsonSerializer.Serialize(configuration));
        ChaosProcess process = ChaosProcess.Start(name, _options.Executable, [.. within, .. Network?.Within(name) ?? []], command, "--config", path);
        _processes[name] = process;
        _all.Add(process);
    }
}
