using System.Globalization;

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
    public static int[] ListeningPorts(int processId)
    {
        HashSet<string> sockets = [];
        foreach (string descriptor in Directory.GetFiles($"/proc/{processId}/fd"))
        {
            if (File.ResolveLinkTarget(descriptor, false)?.Name is { } target && target.StartsWith("socket:[", StringComparison.Ordinal))
            {
                sockets.Add(target[8..^1]);
            }
        }

        return [.. new[] { "tcp", "tcp6" }.SelectMany(table => File.ReadLines($"/proc/{processId}/net/{table}").Skip(1))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields[3] == "0A" && sockets.Contains(fields[9]))
            .Select(fields => int.Parse(fields[1].Split(':')[^1], NumberStyles.HexNumber, CultureInfo.InvariantCulture)).Distinct()];
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
