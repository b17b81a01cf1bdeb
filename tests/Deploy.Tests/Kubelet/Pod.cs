using System.Diagnostics;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>One pod: an address, its volumes, its containers. A container that ends is started again, unless the pod says never.</summary>
internal sealed class Pod : IAsyncDisposable
{
    public const int Terminate = 15, Kill = 9;

    private readonly PlayedCluster _cluster;
    private readonly V1PodTemplateSpec _template;
    private readonly CancellationTokenSource _gone = new();
    private readonly List<PodContainer> _containers = [];
    private readonly Dictionary<string, string> _volumes = [];
    private Task _running = Task.CompletedTask;
    private volatile bool _terminating;

    public Pod(PlayedCluster cluster, string name, string space, V1PodTemplateSpec template, string revision)
    {
        (_cluster, _template) = (cluster, template);
        (Name, Namespace, Revision) = (name, space, revision);
        Folder = Directory.CreateDirectory(Path.Combine(cluster.Folder, "pods", $"{name}-{Guid.NewGuid():n}")).FullName;
        Assert.Null(template.Spec.InitContainers);
    }

    public string Name { get; }

    /// <summary>Namespace of Kubernetes, not of the network.</summary>
    public string Namespace { get; }

    public string Revision { get; }

    public string Folder { get; }

    public V1PodSpec Spec => _template.Spec;

    public Peer Peer => new(Name, Namespace, _template.Metadata.Labels);

    public PodImage Image => _cluster.Image;

    public string NamesFolder => _cluster.NamesFolder;

    public string Space => _cluster.Machines.Namespace(Name);

    public string RouterSpace => _cluster.Machines.Router;

    public string Address => _cluster.Machines.AddressOf(Name);

    public IReadOnlyList<PodContainer> Containers => _containers;

    public bool IsReady => !_terminating && _containers.Count > 0 && _containers.All(container => container.IsReady);

    /// <summary>True for a pod that was ready when it was asked to end.</summary>
    public bool IsLeaving { get; private set; }

    /// <summary>When it was asked to end, as <see cref="Stopwatch.GetTimestamp"/> has it.</summary>
    public long AskedToEnd { get; private set; }

    /// <summary>True when the grace period was over before the process was.</summary>
    public bool WasKilled { get; private set; }

    public int Restarts => _containers.Sum(container => container.Restarts);

    public string Said => string.Join('\n', _containers.Select(container => container.Said));

    public void Changed() => _cluster.Publish();

    /// <summary>What the API server knows its service account by.</summary>
    public string Token() => _cluster.Api!.TokenOf(Namespace, Spec.ServiceAccountName);

    /// <summary>Where the API server is, as every pod is told; nothing where there is none.</summary>
    public IReadOnlyDictionary<string, string> ServerVariables => _cluster.ServerVariables;

    public string VolumeFolder(string volume) => _volumes[volume];

    /// <summary>Waits until what it mounts exists, as a kubelet does, then runs it.</summary>
    public async Task StartAsync()
    {
        foreach (V1Volume volume in Spec.Volumes ?? [])
        {
            _volumes[volume.Name] = await _cluster.Volumes.PrepareAsync(this, volume, _gone.Token);
        }

        foreach (string claim in _cluster.Volumes.ClaimsOf(this))
        {
            _volumes[claim] = _cluster.Volumes.ClaimFolder(this, $"{claim}-{Name}");
        }

        _containers.AddRange(Spec.Containers.Select(container => new PodContainer(this, container)));
        _running = Task.WhenAll(_containers.Select(KeepAsync));
    }

    /// <summary>Runs a pod that is never started again to its end.</summary>
    public async Task<IReadOnlyList<PodContainer>> CompleteAsync()
    {
        await StartAsync();
        await _running;
        return _containers;
    }

    /// <summary>SIGTERM; after the grace period SIGKILL.</summary>
    public async Task TerminateAsync()
    {
        IsLeaving = IsReady;
        AskedToEnd = Stopwatch.GetTimestamp();
        _terminating = true;
        _cluster.Publish();
        await Task.WhenAll(_containers.Select(container => container.SignalAsync(Terminate, _gone.Token)));
        Task late = IsLeaving ? _cluster.ComeLateAsync(this) : Task.CompletedTask;
        Task grace = Task.Delay(TimeSpan.FromSeconds(Spec.TerminationGracePeriodSeconds ?? 30), _gone.Token);
        if (await Task.WhenAny(_running, grace) == grace)
        {
            WasKilled = true;
            await Task.WhenAll(_containers.Select(container => container.SignalAsync(Kill, _gone.Token)));
            await _running;
        }

        await late;
    }

    public async ValueTask DisposeAsync()
    {
        _terminating = true;
        await _gone.CancelAsync();
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
        }

        _gone.Dispose();
    }

    private async Task KeepAsync(PodContainer container)
    {
        while (true)
        {
            await container.RunAsync(_gone.Token);
            if (_terminating || Spec.RestartPolicy == "Never")
            {
                return;
            }

            container.CountRestart();
            await Task.Delay(TimeSpan.FromSeconds(1), _gone.Token);
            if (_terminating)
            {
                return;
            }
        }
    }
}
