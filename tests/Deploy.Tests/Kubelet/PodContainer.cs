using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>
/// One container as a process: the namespace of its pod's network, a root of its own (read-only but for its mounts), first of its own process ids, the user, environment, arguments
/// and probes of its manifest. Limits of memory and processor, and seccomp, are not played.
/// </summary>
internal sealed class PodContainer(Pod pod, V1Container container)
{
    private const int MaxSaid = 1 << 20;

    private readonly StringBuilder _said = new();
    private Process? _process;
    private int _inner;
    private volatile bool _started;
    private volatile bool _ready;

    public string Name => container.Name;

    public bool IsReady => _ready;

    public int Restarts { get; private set; }

    public int ExitCode { get; private set; } = -1;

    /// <summary>What it wrote to either stream.</summary>
    public string Said
    {
        get
        {
            lock (_said)
            {
                return _said.ToString();
            }
        }
    }

    /// <summary>Runs it to its end, once.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        (_started, _ready) = (false, false);
        ProcessStartInfo start = new("nsenter", ["--net=/run/netns/" + pod.Space, "unshare", "--mount", "--pid", "--fork", "sh", WriteScript()])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using Process process = _process = Process.Start(start)!;
        process.StandardInput.Close();
        process.OutputDataReceived += (_, line) => Say(line.Data);
        process.ErrorDataReceived += (_, line) => Say(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task probes = Task.WhenAll(ProbeAsync(ended.Token));
        try
        {
            await process.WaitForExitAsync(cancellation);
            ExitCode = process.ExitCode;
        }
        finally
        {
            if (!process.HasExited)
            {
                // The first process of the container takes all others with it; the kernel forgets unshare's own wish when that process changes its user.
                await SignalAsync(Pod.Kill, CancellationToken.None);
                await process.WaitForExitAsync(CancellationToken.None);
            }

            await ended.CancelAsync();
            await probes;
            SetReady(false);
            _process = null;
            _inner = 0;
        }
    }

    public void CountRestart() => Restarts++;

    public async Task SignalAsync(int signal, CancellationToken cancellation)
    {
        int inner = await InnerAsync(cancellation);
        if (inner > 0)
        {
            _ = DeployTools.Run("kill", $"-{signal}", inner.ToString(CultureInfo.InvariantCulture));
        }
    }

    /// <summary>What <c>kubectl exec</c> does.</summary>
    public async Task<(int Code, string Output, string Error)> ExecAsync(params string[] command)
    {
        int inner = await InnerAsync(CancellationToken.None);
        return await Task.Run(() => DeployTools.Run(
            "nsenter", ["-t", inner.ToString(CultureInfo.InvariantCulture), "--net", "--pid", "--mount", "-r", "-w", .. AsUser(), "env", "-i", .. Environment().Select(pair => $"{pair.Key}={pair.Value}"), .. command]));
    }

    /// <summary>Process id, outside, of the first process inside; 0 when there is none.</summary>
    private async Task<int> InnerAsync(CancellationToken cancellation)
    {
        while (_inner == 0 && _process is { HasExited: false } process)
        {
            string children = $"/proc/{process.Id}/task/{process.Id}/children";
            string text = File.Exists(children) ? await File.ReadAllTextAsync(children, cancellation) : "";
            if (text.Trim().Split(' ')[0] is { Length: > 0 } child)
            {
                return _inner = int.Parse(child, CultureInfo.InvariantCulture);
            }

            await Task.Delay(20, cancellation);
        }

        return _inner;
    }

    private void Say(string? line)
    {
        lock (_said)
        {
            if (_said.Length < MaxSaid)
            {
                _said.AppendLine(line);
            }
        }
    }

    private Dictionary<string, string> Environment()
    {
        Dictionary<string, string> variables = new(pod.Image.Environment) { ["HOSTNAME"] = pod.Name, ["DOTNET_ROOT"] = PodRoot.Runtime };
        foreach ((string name, string value) in pod.ServerVariables)
        {
            variables[name] = value;
        }

        foreach (V1EnvVar variable in container.Env ?? [])
        {
            string value = variable.Value ?? "";
            if (variable.ValueFrom is { } source)
            {
                Assert.Equal("metadata.name", source.FieldRef?.FieldPath); // all that the chart asks for
                value = pod.Name;
            }

            // $(NAME) stands for a variable that is declared above.
            foreach ((string name, string known) in variables)
            {
                value = value.Replace($"$({name})", known, StringComparison.Ordinal);
            }

            variables[variable.Name] = value;
        }

        return variables;
    }

    private string[] AsUser()
    {
        V1PodSecurityContext security = pod.Spec.SecurityContext;
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.False(container.SecurityContext.AllowPrivilegeEscalation);
        return ["setpriv", $"--reuid={security.RunAsUser}", $"--regid={security.RunAsGroup}", $"--groups={security.FsGroup}", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"];
    }

    private string WriteScript()
    {
        string root = Directory.CreateDirectory(Path.Combine(pod.Folder, "root-" + Name)).FullName, script = Path.Combine(pod.Folder, Name + ".sh");
        Assert.True(container.SecurityContext.ReadOnlyRootFilesystem);
        var text = new StringBuilder(PodRoot.Begin(root, pod.Image.App, pod.NamesFolder, pod.Name, pod.Spec.SecurityContext));
        foreach (V1VolumeMount mount in container.VolumeMounts.OrderBy(mount => mount.MountPath.Length))
        {
            Assert.Null(mount.SubPath);
            text.Append(PodRoot.Mount(pod.VolumeFolder(mount.Name), mount.MountPath, mount.ReadOnlyProperty == true));
        }

        string[] command = [.. container.Command ?? [pod.Image.EntryPoint], .. container.Args ?? []];
        text.Append(PodRoot.End([.. AsUser(), "env", "-i", .. Environment().Select(pair => $"{pair.Key}={pair.Value}"), .. command]));
        File.WriteAllText(script, text.ToString());
        return script;
    }

    private async Task ProbeAsync(CancellationToken cancellation)
    {
        try
        {
            if (container.StartupProbe is { } startup)
            {
                await RepeatAsync(startup, succeeded: () => _started = true, failed: End, until: () => _started, cancellation);
            }

            await Task.WhenAll(
                container.ReadinessProbe is { } readiness ? RepeatAsync(readiness, () => SetReady(true), () => SetReady(false), () => false, cancellation) : Task.CompletedTask,
                container.LivenessProbe is { } liveness ? RepeatAsync(liveness, () => { }, End, () => false, cancellation) : Task.CompletedTask);
            if (container.ReadinessProbe is null)
            {
                SetReady(true);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }
    }

    private void End() => _ = SignalAsync(Pod.Kill, CancellationToken.None);

    private void SetReady(bool ready)
    {
        if (_ready != ready)
        {
            _ready = ready;
            pod.Changed();
        }
    }

    /// <summary>As a kubelet does: the first attempt at once, then one each period; as many successes or failures in a row as the probe asks for count.</summary>
    private async Task RepeatAsync(V1Probe probe, Action succeeded, Action failed, Func<bool> until, CancellationToken cancellation)
    {
        await Task.Delay(TimeSpan.FromSeconds(probe.InitialDelaySeconds ?? 0), cancellation);
        (int successes, int failures) = (0, 0);
        while (!until())
        {
            (successes, failures) = await TryAsync(probe, cancellation) ? (successes + 1, 0) : (0, failures + 1);
            if (successes >= (probe.SuccessThreshold ?? 1))
            {
                succeeded();
            }
            else if (failures >= (probe.FailureThreshold ?? 3))
            {
                failed();
            }

            if (!until())
            {
                await Task.Delay(TimeSpan.FromSeconds(probe.PeriodSeconds ?? 10), cancellation);
            }
        }
    }

    private async Task<bool> TryAsync(V1Probe probe, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(TimeSpan.FromSeconds(probe.TimeoutSeconds ?? 1));
        try
        {
            if (probe.Exec is { } exec)
            {
                return (await ExecAsync([.. exec.Command])).Code == 0;
            }

            if (probe.TcpSocket is { } tcp)
            {
                using Socket socket = await NamespaceSocket.ConnectAsync(pod.RouterSpace, pod.Address, PortOf(tcp.Port), deadline.Token);
                return true;
            }

            using HttpClient http = NamespaceSocket.CreateClient(pod.RouterSpace, pod.Address, PortOf(probe.HttpGet.Port), pod.Address, keepAlive: false);
            Assert.True(probe.HttpGet.Scheme is null or "HTTP");
            using HttpResponseMessage response = await http.GetAsync(new Uri(http.BaseAddress!, probe.HttpGet.Path), deadline.Token);
            return response.StatusCode is >= HttpStatusCode.OK and < HttpStatusCode.BadRequest;
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return false;
        }
    }

    private int PortOf(IntOrString port) =>
        int.TryParse(port.Value, CultureInfo.InvariantCulture, out int number) ? number : container.Ports.Single(named => named.Name == port.Value).ContainerPort;
}
