using System.Collections.Concurrent;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>
/// Plays the parts of Kubernetes that the chart uses, on this machine: StatefulSets and their pods as processes in network namespaces, Services as addresses, network policies as
/// packet filter rules, Secrets and ConfigMaps as mounted files. Each reads the manifests as Helm renders them and nothing else.
/// </summary>
internal sealed class PlayedCluster : IAsyncDisposable
{
    /// <summary>A Service learns of a pod's end a while after the pod does.</summary>
    private static readonly TimeSpan s_endpointDelay = TimeSpan.FromSeconds(1);

    /// <summary>Each machine of a cluster learns of it at its own time; callers of the last one are led to the pod for so long after it was asked to end.</summary>
    private static readonly TimeSpan s_lastToNotice = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(4);

    private readonly Lock _publishing = new();
    private readonly ConcurrentDictionary<(string Namespace, string Name), PlayedSet> _sets = new();
    private readonly ConcurrentDictionary<string, (string Host, Peer Peer, int[] Ports)> _outside = new();
    private readonly ConcurrentDictionary<(string Namespace, string Name), (string Address, V1Service Service)> _services = new();
    private readonly ConcurrentDictionary<string, Pod> _passing = new();
    private readonly Dictionary<Pod, long> _leaving = [];
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _publisher;
    private readonly SemaphoreSlim _dirty = new(0);
    private IReadOnlyList<Manifest> _manifests = [];
    private string _written = "";

    private PlayedCluster(string folder)
    {
        Folder = folder;
        Image = PodImage.Create(folder);
        Volumes = new PodVolumes(folder);
        NamesFolder = Directory.CreateDirectory(Path.Combine(folder, "names")).FullName;
        Machines = Machines.Create();
        _publisher = PublishAsync();
    }

    public string Folder { get; }

    public PodImage Image { get; }

    public PodVolumes Volumes { get; }

    public string NamesFolder { get; }

    public Machines Machines { get; }

    /// <summary>Null until it is started.</summary>
    public PlayedApiServer? Api { get; private set; }

    public IReadOnlyDictionary<string, string> ServerVariables { get; private set; } = new Dictionary<string, string>();

    /// <summary>Pods that ended, in order: what they said, and whether the grace period was enough.</summary>
    public ConcurrentQueue<Pod> Retired { get; } = new();

    public IEnumerable<Pod> Pods => _sets.Values.SelectMany(set => set.Pods);

    /// <summary>Why it cannot be played here; null when it can.</summary>
    public static string? Problem() => Machines.Problem() ?? PodImage.Problem();

    public static PlayedCluster Create() => new(Directory.CreateTempSubdirectory("lamina-cluster-").FullName);

    /// <summary>What <c>helm upgrade --install --wait</c> does. Every set changes at the same time, each in its own order.</summary>
    public async Task ApplyAsync(IReadOnlyList<Manifest> manifests)
    {
        foreach (V1ConfigMap map in manifests.Select(manifest => manifest.Value).OfType<V1ConfigMap>())
        {
            Volumes.Set(map);
        }

        foreach (V1Service service in manifests.Select(manifest => manifest.Value).OfType<V1Service>().Where(service => service.Spec.ClusterIP != "None"))
        {
            _services.AddOrUpdate((service.Metadata.NamespaceProperty, service.Metadata.Name), _ => ($"10.96.0.{_services.Count + 1}", service), (_, known) => (known.Address, service));
        }

        _manifests = manifests;
        Api?.Use(manifests.Select(manifest => manifest.Value));
        Publish();
        foreach (Manifest job in manifests.Where(manifest => manifest.Value is V1Job && manifest.Annotation("helm.sh/hook") is { } events && events.Contains("pre-install", StringComparison.Ordinal)))
        {
            PodContainer ended = Assert.Single(await CompleteAsync(job));
            Assert.True(ended.ExitCode == 0, $"the hook {job.Name} ended with {ended.ExitCode}: {ended.Said}");
        }

        Manifest[] sets = [.. manifests.Where(manifest => manifest.Value is V1StatefulSet)];
        await Task.WhenAll(sets.Select(manifest => _sets.GetOrAdd((manifest.Namespace!, manifest.Name), key => new PlayedSet(this, key.Name, key.Namespace)).ApplyAsync((V1StatefulSet)manifest.Value, _ending.Token)));
    }

    /// <summary>An API server beside the pods, which only those that mount a token may know.</summary>
    public async Task StartApiServerAsync()
    {
        const string Machine = "apiserver";
        const int Port = 6443;
        AddOutside(new Peer(Machine, "kube-system", new Dictionary<string, string> { ["component"] = "kube-apiserver" }), "kubernetes.default.svc.cluster.local", Port);
        string address = Machines.AddressOf(Machine);
        Api = await PlayedApiServer.StartAsync(await NamespaceSocket.BindAsync(Machines.Namespace(Machine), Port), address);
        Api.Written = Volumes.Set;
        ServerVariables = new Dictionary<string, string> { ["KUBERNETES_SERVICE_HOST"] = address, ["KUBERNETES_SERVICE_PORT"] = $"{Port}" };
        Volumes.Set(new V1ConfigMap { Metadata = new V1ObjectMeta { Name = "kube-root-ca.crt", NamespaceProperty = "lamina" }, Data = new Dictionary<string, string> { ["ca.crt"] = Api.Authority } });
    }

    public PlayedSet Set(string name) => _sets.Values.Single(set => set.Name == name);

    public Pod Pod(string name) => Pods.Single(pod => pod.Name == name);

    /// <summary>A machine that is no pod of the chart, with an address, a name and labels: a caller, a database.</summary>
    public void AddOutside(Peer peer, string host, params int[] ports)
    {
        Machines.Add(peer.Name);
        _outside[peer.Name] = (host, peer, ports);
        Publish();
    }

    public string AddressOfService(string name) => _services.Values.Single(service => service.Service.Metadata.Name == name).Address;

    /// <summary>What <c>helm test</c> does: runs the test pods to their ends, here all at once.</summary>
    public async Task<IReadOnlyList<PodContainer>> TestAsync()
    {
        IReadOnlyList<PodContainer>[] ended = await Task.WhenAll(_manifests.Where(manifest => manifest.Value is V1Pod && manifest.Annotation("helm.sh/hook") == "test").Select(CompleteAsync));
        return [.. ended.SelectMany(containers => containers)];
    }

    /// <summary>Runs a pod that is never started again to its end.</summary>
    private async Task<IReadOnlyList<PodContainer>> CompleteAsync(Manifest manifest)
    {
        await Task.Run(() => Machines.Add(manifest.Name));
        await using Pod pod = new(this, manifest.Name, manifest.Namespace!, manifest.PodTemplate!, "");
        _passing[manifest.Name] = pod;
        await SettleAsync();
        IReadOnlyList<PodContainer> containers = await pod.CompleteAsync().WaitAsync(s_limit);
        _passing.TryRemove(manifest.Name, out _);
        TakeAway(pod);
        return containers;
    }

    /// <summary>Who calls a pod at the address of its own when the last machine to notice its end still leads there; nobody when null.</summary>
    public Func<Pod, Task>? LateCaller { get; set; }

    /// <summary>Completes before the pod's address goes.</summary>
    public async Task ComeLateAsync(Pod pod)
    {
        if (LateCaller is { } call)
        {
            await Task.Delay(s_lastToNotice);
            await call(pod);
        }
    }

    public void Publish() => _dirty.Release();

    public void Retire(Pod pod) => Retired.Enqueue(pod);

    /// <summary>Not while rules that name it are written.</summary>
    public void TakeAway(Pod pod)
    {
        lock (_publishing)
        {
            Machines.Remove(pod.Name);
        }

        Publish();
    }

    public async Task WaitAsync(Func<bool> condition, Func<string> what, CancellationToken cancellation = default)
    {
        for (long until = Environment.TickCount64 + (long)s_limit.TotalMilliseconds; !condition(); await Task.Delay(50, cancellation))
        {
            Assert.True(Environment.TickCount64 < until, $"never: {what()}");
        }
    }

    /// <summary>Names, rules and addresses as of now are in force.</summary>
    public Task SettleAsync() => Task.Run(() =>
    {
        lock (_publishing)
        {
            Write();
        }
    });

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _publisher;
        foreach (PlayedSet set in _sets.Values)
        {
            await set.DisposeAsync();
        }

        foreach (Pod pod in _passing.Values)
        {
            await pod.DisposeAsync();
        }

        if (Api is not null)
        {
            await Api.DisposeAsync();
        }

        Machines.Dispose();
        _ending.Dispose();
        _dirty.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private async Task PublishAsync()
    {
        while (!_ending.IsCancellationRequested)
        {
            // Also without a change: an endpoint that leaves does so after a while.
            _ = await _dirty.WaitAsync(TimeSpan.FromMilliseconds(250), CancellationToken.None);
            while (_dirty.Wait(0, CancellationToken.None))
            {
            }

            await SettleAsync();
        }
    }

    private void Write()
    {
        Pod[] pods = [.. Pods, .. _passing.Values];
        (Peer Peer, int[] Ports)[] all = [.. pods.Select(pod => (pod.Peer, pod.Spec.Containers.SelectMany(container => container.Ports ?? []).Select(port => port.ContainerPort).Append(8081).ToArray())), .. _outside.Values.Select(outside => (outside.Peer, outside.Ports))];
        var matrix = new PolicyMatrix(_manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        (string, string, int)[] allowed = [.. all.SelectMany(from => all.Where(to => to.Peer != from.Peer)
            .SelectMany(to => to.Ports.Where(port => matrix.Allows(from.Peer, to.Peer, port, "TCP")).Select(port => (from.Peer.Name, to.Peer.Name, port))))];
        (string, string)[] foreign = [.. pods.SelectMany(from => pods.Where(to => TenantOf(from) is { } mine && TenantOf(to) is { } theirs && mine != theirs).Select(to => (from.Name, to.Name)))];
        ServiceAddress[] services = [.. _services.Values.SelectMany(service => service.Service.Spec.Ports.Select(port => new ServiceAddress(service.Address, port.Port,
            [.. pods.Where(pod => IsEndpoint(pod, service.Service)).Select(pod => (pod.Name, PortOf(pod, port.TargetPort.Value)))])))];
        string names = string.Concat(pods.Where(pod => pod.Namespace.Length > 0).SelectMany(NamesOf)
            .Concat(_outside.Values.Select(outside => $"{Machines.AddressOf(outside.Peer.Name)} {outside.Host}\n"))
            .Concat(_services.Values.Select(service => $"{service.Address} {service.Service.Metadata.Name}.{service.Service.Metadata.NamespaceProperty}.svc.cluster.local\n")).Prepend("127.0.0.1 localhost\n"));
        string state = $"{string.Join(' ', allowed)}|{string.Join(' ', foreign)}|{string.Join(' ', services.Select(service => $"{service.Address}:{service.Port} {string.Join(' ', service.Targets)}"))}|{string.Join(' ', pods.Select(pod => pod.Address))}|{names}";
        if (state == _written)
        {
            return;
        }

        Machines.Filter(allowed, foreign, services);
        string file = Path.Combine(NamesFolder, "hosts");
        File.WriteAllText(file + ".new", names);
        File.Move(file + ".new", file, overwrite: true);
        _written = state;
    }

    /// <summary>A pod's own name below its headless Service.</summary>
    private IEnumerable<string> NamesOf(Pod pod) => _sets.Values.Where(set => set.Pods.Contains(pod)).Select(set => $"{pod.Address} {pod.Name}.{set.Name}.{pod.Namespace}.svc.cluster.local\n");

    private bool IsEndpoint(Pod pod, V1Service service)
    {
        if (pod.Namespace != service.Metadata.NamespaceProperty || !service.Spec.Selector.All(label => pod.Peer.Labels.TryGetValue(label.Key, out string? value) && value == label.Value))
        {
            return false;
        }

        if (pod.IsReady)
        {
            return true;
        }

        if (!pod.IsLeaving)
        {
            return false;
        }

        long now = Environment.TickCount64;
        long since = _leaving.TryGetValue(pod, out long known) ? known : _leaving[pod] = now;
        return now - since < s_endpointDelay.TotalMilliseconds;
    }

    private static int PortOf(Pod pod, string target) => pod.Spec.Containers.SelectMany(container => container.Ports).Single(port => port.Name == target).ContainerPort;

    /// <summary>Null for a coordinator that tenants share.</summary>
    private static string? TenantOf(Pod pod) => pod.Peer.Labels.TryGetValue("lamina.dev/tenant", out string? tenant) ? tenant : null;
}
