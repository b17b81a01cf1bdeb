using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Lamina.Cli.Chaos;

/// <summary>
/// A network namespace for each process, joined by a bridge: cutting processes off from each other is then a matter of filters in those namespaces, which nothing else on this
/// machine notices. Needs root, <c>ip</c> and <c>nft</c>.
/// </summary>
internal sealed class ChaosNetwork : IDisposable
{
    private const int NewNetwork = 0x40000000;

    private readonly string _prefix = $"lmn{Environment.ProcessId % 100_000}";
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);

    private ChaosNetwork()
    {
    }

    /// <summary>Why it cannot be used here, or null.</summary>
    public static string? Lack =>
        geteuid() != 0 ? "network namespaces need root"
        : !Exists("ip") ? "ip (package iproute2) is not installed"
        : !Exists("nft") ? "nft (package nftables) is not installed"
        : !Exists("nsenter") ? "nsenter (package util-linux) is not installed"
        : null;

    public static ChaosNetwork Create(IReadOnlyList<string> names)
    {
        if (Lack is { } lack)
        {
            throw new CommandException($"no network can be made: {lack}");
        }

        var network = new ChaosNetwork();
        try
        {
            Run("ip", "link", "add", network.Bridge, "type", "bridge");
            Run("ip", "link", "set", network.Bridge, "up");
            foreach (string name in names)
            {
                network.Add(name);
            }

            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private string Bridge => _prefix + "br";

    public string AddressOf(string name) => $"10.77.0.{_numbers[name] + 1}";

    /// <summary>Command by which a process enters a namespace. Unlike <c>ip netns exec</c> it leaves the mounts as they are, control groups among them.</summary>
    public string[] Within(string name) => ["nsenter", $"--net=/run/netns/{Space(name)}"];

    /// <summary>A socket that lives in a process' namespace.</summary>
    public Socket OpenSocket(string name)
    {
        Socket? socket = null;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                // The thread ends in that namespace; nobody else runs on it.
                int space = open($"/var/run/netns/{Space(name)}", 0);
                int entered = space < 0 ? -1 : setns(space, NewNetwork);
                int error = Marshal.GetLastPInvokeError();
                _ = close(space);
                if (entered != 0)
                {
                    throw new IOException($"namespace {Space(name)} cannot be entered: error {error}");
                }

                socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                failure = e;
            }
        })
        { IsBackground = true, Name = "namespace" };
        thread.Start();
        thread.Join();
        return socket ?? throw new IOException(failure!.Message, failure);
    }

    /// <summary>Drops everything between the two sides, silently, until <see cref="Heal"/>.</summary>
    /// <param name="oneWay">Only what the second side sends to the first is dropped.</param>
    public void Cut(IReadOnlyList<string> side, IReadOnlyList<string> other, bool oneWay = false)
    {
        foreach (string name in side)
        {
            Drop(name, other);
        }

        foreach (string name in oneWay ? [] : other)
        {
            Drop(name, side);
        }
    }

    /// <summary>Loses that share of the packets that a process receives, at random, until <see cref="Heal"/>.</summary>
    public void Lose(string name, int percent) => Filter(name, "numgen", "random", "mod", "100", "<", $"{percent}", "drop");

    /// <summary>Drops what passes between a process and the others from or to those TCP ports, both ways, until <see cref="Heal"/>.</summary>
    public void CutPorts(string name, IReadOnlyList<string> others, IReadOnlyList<int> ports)
    {
        string set = $"{{ {string.Join(", ", ports)} }}";
        foreach (string direction in new[] { "sport", "dport" })
        {
            Filter(name, "tcp", direction, set, "drop");
            foreach (string other in others)
            {
                Filter(other, "ip", "saddr", AddressOf(name), "tcp", direction, set, "drop");
            }
        }
    }

    /// <summary>Sends connections that others make to a port of a process to another port there, until <see cref="Heal"/>.</summary>
    public void Redirect(string name, int port, int to)
    {
        string[] nft = ["ip", "netns", "exec", Space(name), "nft"];
        Run([.. nft, "add", "table", "ip", "way"]);
        Run([.. nft, "add", "chain", "ip", "way", "pre", "{ type nat hook prerouting priority -100 ; }"]);
        Run([.. nft, "add", "rule", "ip", "way", "pre", "tcp", "dport", $"{port}", "redirect", "to", $":{to}"]);
    }

    /// <summary>Lets a process send no more than that until <see cref="Heal"/>.</summary>
    public void Throttle(string name, int megabitsPerSecond) =>
        Run("ip", "netns", "exec", Space(name), "tc", "qdisc", "add", "dev", $"{_prefix}e{_numbers[name]}", "root", "tbf", "rate", $"{megabitsPerSecond}mbit", "burst", "32kb", "latency", "400ms");

    public void Heal()
    {
        foreach (string name in _numbers.Keys)
        {
            TryRun("ip", "netns", "exec", Space(name), "nft", "flush", "ruleset");
            TryRun("ip", "netns", "exec", Space(name), "tc", "qdisc", "del", "dev", $"{_prefix}e{_numbers[name]}", "root");
        }
    }

    public void Dispose()
    {
        foreach (string name in _numbers.Keys)
        {
            TryRun("ip", "netns", "del", Space(name));
        }

        TryRun("ip", "link", "del", Bridge);
    }

    private string Space(string name) => $"{_prefix}-{name}";

    private void Add(string name)
    {
        int number = _numbers.Count + 1;
        _numbers[name] = number;
        (string outside, string inside) = ($"{_prefix}v{number}", $"{_prefix}e{number}");
        Run("ip", "netns", "add", Space(name));
        Run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside);
        Run("ip", "link", "set", outside, "master", Bridge, "up");
        Run("ip", "link", "set", inside, "netns", Space(name));
        Run("ip", "-n", Space(name), "addr", "add", $"{AddressOf(name)}/24", "dev", inside);
        Run("ip", "-n", Space(name), "link", "set", inside, "up");
        Run("ip", "-n", Space(name), "link", "set", "lo", "up");
    }

    private void Drop(string name, IEnumerable<string> from)
    {
        foreach (string sender in from)
        {
            Filter(name, "ip", "saddr", AddressOf(sender), "drop");
        }
    }

    /// <summary>At the receiver: what the sender drops it notices and sends again at once.</summary>
    private void Filter(string name, params string[] rule)
    {
        string[] nft = ["ip", "netns", "exec", Space(name), "nft"];
        Run([.. nft, "add", "table", "ip", "cut"]);
        Run([.. nft, "add", "chain", "ip", "cut", "in", "{ type filter hook input priority 0 ; }"]);
        Run([.. nft, "add", "rule", "ip", "cut", "in", .. rule]);
    }

    private static bool Exists(string program) => new[] { "/usr/sbin", "/sbin", "/usr/bin", "/bin" }.Any(folder => File.Exists(Path.Combine(folder, program)));

    private static void TryRun(params string[] command)
    {
        try
        {
            Run(command);
        }
        catch (CommandException)
        {
            // What is not there any more need not be taken away.
        }
    }

    public static void Run(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true })
            ?? throw new CommandException($"{command[0]} could not be started");
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new CommandException($"{string.Join(' ', command)}: {error.Trim()}");
        }
    }

    [DllImport("libc", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    private static extern int open(string path, int flags);

    [DllImport("libc")]
    private static extern int close(int descriptor);

    [DllImport("libc", SetLastError = true)]
    private static extern int setns(int descriptor, int kind);

    [DllImport("libc")]
    private static extern uint geteuid();
}
