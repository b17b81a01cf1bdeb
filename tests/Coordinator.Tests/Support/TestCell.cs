using System.Text.Json;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Node;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>A coordinator and its nodes in this process, on loopback: everything real but the process borders.</summary>
internal sealed class TestCell : IAsyncDisposable
{
    private readonly Dictionary<string, NodeHost> _nodes = [];

    private TestCell(TestCoordinator coordinator) => Coordinator = coordinator;

    public TestCoordinator Coordinator { get; }

    public Cell Cell => Coordinator.Host.Cells[0];

    public HttpClient Http => Coordinator.Http;

    public static Task<TestCell> StartAsync(ModelOptions model, params string[] nodes) => StartAsync(model, nodes, null);

    public static async Task<TestCell> StartAsync(ModelOptions model, string[] nodes, Func<CoordinatorOptions, CoordinatorOptions>? change, string name = "front")
    {
        var cell = new TestCell(await TestCoordinator.StartAsync([model], nodes, change: change, name: name));
        try
        {
            await Task.WhenAll(nodes.Select(cell.StartNodeAsync));
            return cell;
        }
        catch
        {
            await cell.DisposeAsync();
            throw;
        }
    }

    public async Task StartNodeAsync(string name)
    {
        CertificateFiles files = Coordinator.Pki.Files(PeerRole.Node, name);
        NodeHost node = await NodeHost.StartAsync(
            new NodeOptions
            {
                Tenant = TestCoordinator.Tenant,
                Name = new NodeName(name),
                CertificatePath = files.CertificatePath,
                KeyPath = files.KeyPath,
                TrustBundlePath = files.TrustBundlePath,
                Seeds = [Cell.ControlEndpoint],
                CachePath = Path.Combine(Coordinator.Folder, "cache", name),
                Threads = 1,
                MemoryBytes = 1L << 30,
            },
            NullLoggerFactory.Instance,
            CancellationToken.None);
        lock (_nodes)
        {
            _nodes[name] = node;
        }
    }

    public async Task StopNodeAsync(string name)
    {
        NodeHost node = _nodes[name];
        _nodes.Remove(name);
        await node.DisposeAsync();
    }

    public Task<DeploymentView> ReadyAsync(string deployment) => Cell.WaitReadyAsync(deployment, null, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(180));

    /// <summary>Waits until the deployment's view is as wanted.</summary>
    public async Task<DeploymentView> UntilAsync(Func<DeploymentView, bool> wanted)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(180));
        while (true)
        {
            DeploymentView view = Cell.Deployments[0];
            if (wanted(view))
            {
                return view;
            }

            await Task.Delay(10, deadline.Token);
        }
    }

    public async Task<JsonElement> PostAsync(string route, string body)
    {
        using HttpResponseMessage response = await Coordinator.PostAsync(route, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Values.Select(node => node.DisposeAsync().AsTask()));
        await Coordinator.DisposeAsync();
    }
}
