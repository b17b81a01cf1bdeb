namespace Lamina.Node.Hosting;

/// <summary>What this process may use of the machine's memory.</summary>
internal static class MachineMemory
{
    private const double Share = 0.8;

    /// <summary>80 % of the machine's memory or the control group's limit, whichever is less, unless the operator set a figure.</summary>
    public static long Limit(long configured)
    {
        if (configured > 0)
        {
            return configured;
        }

        // The runtime reads the control group's limit at start; its figure is a share of it when the heap is limited, so the group is asked too.
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        long? group = ReadLimit("/sys/fs/cgroup/memory.max") ?? ReadLimit("/sys/fs/cgroup/memory/memory.limit_in_bytes");
        return (long)(Math.Min(available, group ?? long.MaxValue) * Share);
    }

    /// <summary>Null when there is no such file or it says that there is no limit.</summary>
    internal static long? ReadLimit(string path)
    {
        try
        {
            return long.TryParse(File.ReadAllText(path).Trim(), out long limit) && limit > 0 ? limit : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
