using System.Globalization;
using System.Net;

namespace Lamina.EndToEnd.Tests;

/// <summary>What the operating system says of processes: children, listening ports, resident memory. Linux only, as the product's nodes.</summary>
internal static class ProcessTable
{
    /// <summary>Linux' numbers of the signals that .NET does not name.</summary>
    public const int SigStop = 19, SigCont = 18;

    public static int[] Children(int processId) =>
    [
        .. Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => name!.All(char.IsAsciiDigit)).Select(name => int.Parse(name!, CultureInfo.InvariantCulture))
            .Where(id => Parent(id) == processId),
    ];

    public static string CommandLine(int processId) => File.ReadAllText($"/proc/{processId}/cmdline").Replace('\0', ' ');

    public static bool IsAlive(int processId) => Directory.Exists($"/proc/{processId}") && State(processId) is not ('Z' or 'X' or '?');

    public static long ResidentBytes(int processId) => long.Parse(File.ReadAllText($"/proc/{processId}/statm").Split(' ')[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize;

    /// <summary>TCP ports the process listens on.</summary>
    public static int[] ListeningPorts(int processId) => [.. Listening(processId).Where(socket => socket.Protocol == "tcp").Select(socket => socket.Port).Distinct()];

    /// <summary>Everything that the process takes from anybody, as <c>tcp 127.0.0.1:80</c>: TCP sockets that listen and UDP sockets that are bound and connected to nobody.</summary>
    public static string[] Listeners(int processId) => [.. Listening(processId).Select(socket => $"{socket.Protocol} {new IPEndPoint(socket.Address, socket.Port)}")];

    private static IEnumerable<(string Protocol, IPAddress Address, int Port)> Listening(int processId)
    {
        HashSet<string> sockets = [];
        foreach (string descriptor in Directory.GetFiles($"/proc/{processId}/fd"))
        {
            if (File.ResolveLinkTarget(descriptor, false)?.Name is { } target && target.StartsWith("socket:[", StringComparison.Ordinal))
            {
                sockets.Add(target[8..^1]);
            }
        }

        // State 0A listens, 07 is UDP without a peer.
        foreach ((string table, string protocol, string state) in new[] { ("tcp", "tcp", "0A"), ("tcp6", "tcp", "0A"), ("udp", "udp", "07"), ("udp6", "udp", "07") })
        {
            foreach (string line in File.ReadLines($"/proc/{processId}/net/{table}").Skip(1))
            {
                string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries), local = fields[1].Split(':');
                if (fields[3] == state && sockets.Contains(fields[9]))
                {
                    yield return (protocol, Address(local[0]), int.Parse(local[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                }
            }
        }
    }

    /// <summary>Words of 32 bits, each printed as a number in the machine's own order.</summary>
    private static IPAddress Address(string hexadecimal)
    {
        byte[] bytes = Convert.FromHexString(hexadecimal);
        for (int word = 0; word < bytes.Length; word += 4)
        {
            bytes.AsSpan(word, 4).Reverse();
        }

        IPAddress address = new(bytes);
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static int Parent(int processId) => Field(processId, 1) is { } parent ? int.Parse(parent, CultureInfo.InvariantCulture) : -1;

    private static char State(int processId) => Field(processId, 0)?[0] ?? '?';

    /// <summary>Field after the command name, which may itself hold spaces and parentheses.</summary>
    private static string? Field(int processId, int index)
    {
        try
        {
            string text = File.ReadAllText($"/proc/{processId}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ')[index];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
