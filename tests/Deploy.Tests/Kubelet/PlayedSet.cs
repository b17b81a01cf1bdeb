using k8s;
using k8s.Models;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>A StatefulSet: pods of stable names; when its template changes they are replaced one after the other, the last first, each once the one before is ready.</summary>
internal sealed class PlayedSet(PlayedCluster cluster, string name, string space) : IAsyncDisposable
{
    private readonly SemaphoreSlim _one = new(1);
    private volatile Pod?[] _pods = [];
    private V1StatefulSet _wanted = new();
    private string _revision = "";

    public string Name => name;

    public string Namespace => space;

    public IEnumerable<Pod> Pods => _pods.OfType<Pod>();

    public async Task ApplyAsync(V1StatefulSet wanted, CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        try
        {
            Assert.Equal("Parallel", wanted.Spec.PodManagementPolicy);
            Assert.True(wanted.Spec.UpdateStrategy is null);
            (_wanted, _revision) = (wanted, KubernetesYaml.Serialize(wanted.Spec.Template));
            int replicas = wanted.Spec.Replicas ?? 1;
            for (int ordinal = _pods.Length - 1; ordinal >= replicas; ordinal--)
            {
                await StopAsync(ordinal);
            }

            int before = Math.Min(_pods.Length, replicas);
            Pod?[] pods = new Pod?[replicas];
            Array.Copy(_pods, pods, before);
            _pods = pods;
            await Task.WhenAll(Enumerable.Range(before, replicas - before).Select(StartAsync));
            await WaitAllAsync(cancellation);
            for (int ordinal = replicas - 1; ordinal >= 0; ordinal--)
            {
                if (_pods[ordinal]!.Revision != _revision)
                {
                    await StopAsync(ordinal);
                    await StartAsync(ordinal);
                    await WaitAllAsync(cancellation);
                }
            }
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>As <c>kubectl delete pod</c>: it ends within its grace period, and another one takes its name.</summary>
    public async Task DeletePodAsync(int ordinal, CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        try
        {
            await StopAsync(ordinal);
            await StartAsync(ordinal);
            await WaitAllAsync(cancellation);
        }
        finally
        {
            _one.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Pod pod in Pods)
        {
            await pod.DisposeAsync();
        }

        _one.Dispose();
    }

    private Task WaitAllAsync(CancellationToken cancellation) => cluster.WaitAsync(
        () => _pods.All(pod => pod?.IsReady == true), () => $"pods of {name} are ready\n{string.Join('\n', Pods.Where(pod => !pod.IsReady).Select(pod => pod.Name + ":\n" + pod.Said))}", cancellation);

    private async Task StartAsync(int ordinal)
    {
        string pod = $"{name}-{ordinal}";
        V1PodTemplateSpec template = KubernetesYaml.Deserialize<V1PodTemplateSpec>(_revision);
        template.Metadata.Labels["statefulset.kubernetes.io/pod-name"] = pod;
        await Task.Run(() => cluster.Machines.Add(pod));
        Pod started = new(cluster, pod, space, template, _revision);
        _pods[ordinal] = started;
        cluster.Publish();
        await started.StartAsync();
    }

    private async Task StopAsync(int ordinal)
    {
        if (_pods[ordinal] is not { } pod)
        {
            return;
        }

        await pod.TerminateAsync();
        cluster.Retire(pod);
        _pods[ordinal] = null;
        await pod.DisposeAsync();
        cluster.TakeAway(pod);
    }
}
