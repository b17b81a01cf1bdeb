using System.Diagnostics;
using System.Globalization;
using System.Text;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests.Support;

/// <summary>
/// Machines as network namespaces of this one, each with an address of its own behind a router namespace that forwards between them; and processes on them. Made for the
/// test, gone with it; what a killed run left behind goes when the next one begins.
/// </summary>
internal sealed class Machines : IDisposable
{
    private static readonly Lazy<bool> s_swept = new(Sweep);
    private static int s_made;

    private readonly string _id = $"lm{Environment.ProcessId}x{Interlocked.Increment(ref s_made)}";
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _numbers = [];
    private readonly List<Process> _processes = [];
    private int _last;

    /// <summary>Namespace of the router, which is where whatever runs beside the machines stands: no rule is between it and them.</summary>
    public string Router => _id + "r";

    /// <summary>Why namespaces cannot be had here; null when they can.</summary>
    public static string? Problem()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "network namespaces and packet filters need root";
        }

        foreach (string tool in new[] { "ip", "nft" })
        {
            try
            {
                _ = DeployTools.Run(tool, "-V");
            }
            catch (System.ComponentModel.Win32Exception)
            {
                return $"'{tool}' is not installed (Debian: iproute2, nftables)";
            }
        }

        string probe = $"lm{Environment.ProcessId}x{Interlocked.Increment(ref s_made)}p";
        (int code, _, string error) = DeployTools.Run("ip", "netns", "add", probe);
        if (code == 0)
        {
            (code, _, error) = DeployTools.Run("ip", "netns", "exec", probe, "nft", "add table inet probe");
            _ = DeployTools.Run("ip", "netns", "del", probe);
        }

        return code == 0 ? null : $"network namespaces are not permitted here: {error.Trim()}";
    }

    public static Machines Create(params string[] names)
    {
        _ = s_swept.Value;
        var machines = new Machines();
        try
        {
            Ip("netns", "add", machines.Router);
            Ip("-n", machines.Router, "link", "set", "lo", "up");
            machines.On(machines.Router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
            foreach (string name in names)
            {
                machines.Add(name);
            }

            return machines;
        }
        catch
        {
            machines.Dispose();
            throw;
        }
    }

    public string AddressOf(string name) => $"10.99.{NumberOf(name)}.2";

    /// <summary>Replaces the router's packet filter; null lets everything through. Whatever the rules, packets that cross between tenants are counted where they leave.</summary>
    /// <param name="allowed">Flows by sender, receiver and TCP port.</param>
    /// <param name="services">Addresses behind which others stand: each new connection goes to one of them by chance, and connections that are open stay where they are.</param>
    public void Filter(IReadOnlyList<(string From, string To, int Port)>? allowed, IReadOnlyList<(string From, string To)> foreign, IReadOnlyList<ServiceAddress>? services = null)
    {
        var rules = new StringBuilder("flush ruleset\ntable inet lamina {\n  counter crossed {}\n  counter dropped {}\n  chain forward {\n    type filter hook forward priority 0; policy accept;\n");
        if (allowed is not null)
        {
            foreach ((string from, string to, int port) in allowed)
            {
                rules.Append(CultureInfo.InvariantCulture, $"    ip saddr {AddressOf(from)} ip daddr {AddressOf(to)} tcp dport {port} accept\n");
                rules.Append(CultureInfo.InvariantCulture, $"    ip saddr {AddressOf(to)} ip daddr {AddressOf(from)} tcp sport {port} tcp flags & (syn | ack) != syn accept\n");
            }

            rules.Append("    counter name dropped drop\n");
        }

        rules.Append("  }\n  chain seen {\n    type filter hook postrouting priority 0; policy accept;\n");
        foreach ((string from, string to) in foreign)
        {
            rules.Append(CultureInfo.InvariantCulture, $"    ip saddr {AddressOf(from)} ip daddr {AddressOf(to)} counter name crossed\n");
        }

        rules.Append("  }\n}\ntable ip services {\n  chain forward_to {\n    type nat hook prerouting priority dstnat; policy accept;\n");
        foreach (ServiceAddress service in (services ?? []).Where(service => service.Targets.Count > 0))
        {
            string targets = string.Join(", ", service.Targets.Select((target, at) => $"{at} : {AddressOf(target.Machine)} . {target.Port}"));
            rules.Append(CultureInfo.InvariantCulture, $"    ip daddr {service.Address} tcp dport {service.Port} dnat to numgen random mod {service.Targets.Count} map {{ {targets} }}\n");
        }

        rules.Append("  }\n}\n");
        string file = Path.GetTempFileName();
        File.WriteAllText(file, rules.ToString());
        On(Router, "nft", "-f", file);
        File.Delete(file);
    }

    public long Packets(string counter)
    {
        string text = On(Router, "nft", "list", "counter", "inet", "lamina", counter);
        return long.Parse(System.Text.RegularExpressions.Regex.Match(text, @"packets (\d+)").Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>Runs a program on a machine to its end, successfully.</summary>
    public string Run(string name, params string[] command) => On(Namespace(name), command);

    public (int Code, string Output, string Error) TryRun(string name, params string[] command) => DeployTools.Run("ip", ["netns", "exec", Namespace(name), .. command]);

    /// <summary>Starts a program on a machine; what it says on standard error is collected.</summary>
    public (Process Process, StringBuilder Said) Start(string name, params string[] command)
    {
        var start = new ProcessStartInfo("ip", ["netns", "exec", Namespace(name), .. command]) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["LAMINA_HOME"] = Repository.Root;
        Process process = Process.Start(start)!;
        _processes.Add(process);
        var said = new StringBuilder();
        process.ErrorDataReceived += (_, line) =>
        {
            lock (said)
            {
                said.AppendLine(line.Data);
            }
        };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        return (process, said);
    }

    public void Dispose()
    {
        foreach (Process process in _processes)
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }

            process.Dispose();
        }

        foreach (string name in _numbers.Keys.Select(Namespace).Append(Router).ToArray())
        {
            _ = DeployTools.Run("ip", "netns", "del", name);
        }
    }

    public string Namespace(string name) => $"{_id}n{NumberOf(name)}";

    /// <summary>Takes a machine away; its address is not given to another one.</summary>
    public void Remove(string name)
    {
        _ = DeployTools.Run("ip", "netns", "del", Namespace(name));
        lock (_lock)
        {
            _numbers.Remove(name);
        }
    }

    /// <summary>Adds a machine that is reachable at once, by the rules that hold.</summary>
    public void Add(string name)
    {
        int number;
        lock (_lock)
        {
            number = ++_last;
            _numbers.Add(name, number);
        }

        (string here, string there) = ($"v{number}", "eth0");
        Ip("netns", "add", Namespace(name));
        Ip("link", "add", here, "netns", Router, "type", "veth", "peer", "name", there, "netns", Namespace(name));
        Ip("-n", Router, "addr", "add", $"10.99.{number}.1/24", "dev", here);
        Ip("-n", Router, "link", "set", here, "up");
        Ip("-n", Namespace(name), "link", "set", "lo", "up");
        Ip("-n", Namespace(name), "addr", "add", $"10.99.{number}.2/24", "dev", there);
        Ip("-n", Namespace(name), "link", "set", there, "up");
        Ip("-n", Namespace(name), "route", "add", "default", "via", $"10.99.{number}.1");
    }

    private int NumberOf(string name)
    {
        lock (_lock)
        {
            return _numbers[name];
        }
    }

    /// <summary>Namespaces are named after the process that made them: where that is gone, so is what they were for.</summary>
    private static bool Sweep()
    {
        foreach (string line in DeployTools.Run("ip", "netns", "list").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string name = line.Split(' ')[0];
            System.Text.RegularExpressions.Match owner = System.Text.RegularExpressions.Regex.Match(name, @"^lm(\d+)x\d+(r|p|n\d+)$");
            if (!owner.Success || Directory.Exists($"/proc/{owner.Groups[1].Value}"))
            {
                continue;
            }

            foreach (string process in DeployTools.Run("ip", "netns", "pids", name).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                _ = DeployTools.Run("kill", "-KILL", process);
            }

            _ = DeployTools.Run("ip", "netns", "del", name);
        }

        return true;
    }

    private static void Ip(params string[] arguments) => DeployTools.RunSuccessfully("ip", arguments);

    private string On(string space, params string[] command) => DeployTools.RunSuccessfully("ip", ["netns", "exec", space, .. command]);
}

/// <summary>An address that leads to one of several machines.</summary>
internal sealed record ServiceAddress(string Address, int Port, IReadOnlyList<(string Machine, int Port)> Targets);
