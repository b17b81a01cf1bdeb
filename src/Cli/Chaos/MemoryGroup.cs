using System.Globalization;

namespace Lamina.Cli.Chaos;

/// <summary>A control group with a limit of memory (version 1 or 2 of the kernel's interface): processes that are started in it are killed when they need more. Needs root.</summary>
internal sealed class MemoryGroup : IDisposable
{
    private const string Legacy = "/sys/fs/cgroup/memory", Unified = "/sys/fs/cgroup";

    private static int s_count;

    private readonly string _folder;
    private readonly bool _isUnified;

    private MemoryGroup(string folder, bool isUnified, long limit)
    {
        (_folder, _isUnified, Limit) = (folder, isUnified, limit);
    }

    /// <summary>Why none can be made here, or null.</summary>
    public static string? Lack =>
        !Environment.IsPrivilegedProcess ? "control groups need root"
        : !IsWritable(Root(out _)) ? "no control group of memory can be made here"
        : null;

    /// <param name="bytes">Most that the processes in it may have in memory together.</param>
    public static MemoryGroup Create(long bytes)
    {
        string root = Root(out bool isUnified);
        var group = new MemoryGroup(Directory.CreateDirectory(Path.Combine(root, $"lamina-chaos-{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}")).FullName, isUnified, bytes);
        group.Write(isUnified ? "memory.max" : "memory.limit_in_bytes", bytes);
        return group;
    }

    /// <summary>Command by which a process enters the group.</summary>
    public string[] Within => ["sh", "-c", $"echo $$ > {_folder}/cgroup.procs && exec \"$@\"", "sh"];

    /// <summary>Bytes.</summary>
    public long Limit { get; }

    /// <summary>Most that was ever in memory, caches of files among it.</summary>
    public long MostBytes => Read(_isUnified ? "memory.peak" : "memory.max_usage_in_bytes");

    /// <summary>Removes the group, whose processes must have ended.</summary>
    public void Dispose() => Directory.Delete(_folder);

    private static string Root(out bool isUnified)
    {
        isUnified = !Directory.Exists(Legacy);
        return isUnified ? Unified : Legacy;
    }

    private static bool IsWritable(string root)
    {
        string limit = root == Legacy ? "memory.limit_in_bytes" : "memory.max";
        string probe = Path.Combine(root, $"lamina-chaos-{Environment.ProcessId}-probe");
        try
        {
            Directory.CreateDirectory(probe);
            bool limited = File.Exists(Path.Combine(probe, limit));
            Directory.Delete(probe);
            return limited;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private void Write(string file, long value) => File.WriteAllText(Path.Combine(_folder, file), value.ToString(CultureInfo.InvariantCulture));

    private long Read(string file) => File.Exists(Path.Combine(_folder, file)) ? long.Parse(File.ReadAllText(Path.Combine(_folder, file)), CultureInfo.InvariantCulture) : 0;
}
