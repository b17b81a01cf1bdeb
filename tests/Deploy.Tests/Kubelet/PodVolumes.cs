using System.Collections.Concurrent;
using System.Text;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>Secrets, ConfigMaps and claims of the cluster, and the folders that pods mount in their place, with the owners and modes that Kubernetes gives them.</summary>
internal sealed class PodVolumes(string folder)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    private readonly ConcurrentDictionary<(string Namespace, string Name), IDictionary<string, byte[]>> _secrets = new();
    private readonly ConcurrentDictionary<(string Namespace, string Name), IDictionary<string, byte[]>> _maps = new();

    public void Set(V1Secret secret)
    {
        IEnumerable<KeyValuePair<string, byte[]>> data = (secret.Data ?? new Dictionary<string, byte[]>()).Concat((secret.StringData ?? new Dictionary<string, string>()).Select(pair => KeyValuePair.Create(pair.Key, Encoding.UTF8.GetBytes(pair.Value))));
        _secrets[(secret.Metadata.NamespaceProperty, secret.Metadata.Name)] = data.ToDictionary();
    }

    public void Set(V1ConfigMap map) =>
        _maps[(map.Metadata.NamespaceProperty, map.Metadata.Name)] = map.Data.ToDictionary(pair => pair.Key, pair => Encoding.UTF8.GetBytes(pair.Value));

    /// <summary>Names of a pod's mounts that its set's claim templates give it.</summary>
    public IEnumerable<string> ClaimsOf(Pod pod) =>
        pod.Spec.Containers.SelectMany(container => container.VolumeMounts).Select(mount => mount.Name).Distinct().Where(name => (pod.Spec.Volumes ?? []).All(volume => volume.Name != name));

    /// <summary>A claim's folder outlives its pods.</summary>
    public string ClaimFolder(Pod pod, string claim) => Folder(Path.Combine(folder, "claims", pod.Namespace, claim), pod, "2775");

    public async Task<string> PrepareAsync(Pod pod, V1Volume volume, CancellationToken cancellation)
    {
        if (volume.EmptyDir is not null)
        {
            return Folder(Path.Combine(pod.Folder, volume.Name), pod, "2777");
        }

        if (volume.PersistentVolumeClaim is { } claim)
        {
            return ClaimFolder(pod, claim.ClaimName);
        }

        var files = new Dictionary<string, byte[]>();
        int mode = volume.Secret?.DefaultMode ?? volume.ConfigMap?.DefaultMode ?? volume.Projected?.DefaultMode ?? 0x1A4; // 0644
        if (volume.ConfigMap is { } map)
        {
            Add(files, await FindAsync(_maps, pod, map.Name, cancellation), map.Items);
        }
        else if (volume.Secret is { } secret)
        {
            Add(files, await FindAsync(_secrets, pod, secret.SecretName, cancellation), secret.Items);
        }
        else
        {
            foreach (V1VolumeProjection source in volume.Projected!.Sources)
            {
                if (source.ServiceAccountToken is { } token)
                {
                    files[token.Path] = Encoding.UTF8.GetBytes(pod.Token());
                }
                else if (source.ConfigMap is { } projected)
                {
                    Add(files, await FindAsync(_maps, pod, projected.Name, cancellation), projected.Items);
                }
                else
                {
                    Add(files, await FindAsync(_secrets, pod, source.Secret.Name, cancellation), source.Secret.Items);
                }
            }
        }

        string target = Folder(Path.Combine(pod.Folder, volume.Name), pod, "0755");
        foreach ((string name, byte[] content) in files)
        {
            string path = Path.Combine(target, name);
            await File.WriteAllBytesAsync(path, content, cancellation);
            File.SetUnixFileMode(path, (UnixFileMode)mode);
        }

        DeployTools.RunSuccessfully("chown", "-R", $"0:{pod.Spec.SecurityContext.FsGroup}", target);
        return target;
    }

    private static void Add(Dictionary<string, byte[]> files, IDictionary<string, byte[]> content, IList<V1KeyToPath>? items)
    {
        foreach ((string key, string path) in items is null ? content.Keys.Select(key => (key, key)) : items.Select(item => (item.Key, item.Path)))
        {
            files[path] = content[key];
        }
    }

    /// <summary>A pod waits in its creation for what it mounts.</summary>
    private static async Task<IDictionary<string, byte[]>> FindAsync(
        ConcurrentDictionary<(string, string), IDictionary<string, byte[]>> known, Pod pod, string name, CancellationToken cancellation)
    {
        for (long until = Environment.TickCount64 + (long)s_limit.TotalMilliseconds; Environment.TickCount64 < until; await Task.Delay(50, cancellation))
        {
            if (known.TryGetValue((pod.Namespace, name), out IDictionary<string, byte[]>? content))
            {
                return content;
            }
        }

        throw new InvalidOperationException($"pod {pod.Name} mounts {name}, which nobody made");
    }

    private static string Folder(string path, Pod pod, string mode)
    {
        if (!Directory.Exists(path))
        {
            Directory.CreateDirectory(path);
            DeployTools.RunSuccessfully("chown", $"0:{pod.Spec.SecurityContext.FsGroup}", path);
            DeployTools.RunSuccessfully("chmod", mode, path);
        }

        return path;
    }
}
