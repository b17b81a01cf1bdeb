using System.Runtime;
using Lamina.Coordinator;

namespace Lamina.Cli.Embedded;

/// <summary>
/// Text of requests stands in the heap until its place is taken again. So when a coordinator has nothing to do, the collector compacts the heap and gives back to the system what that leaves, which
/// the system clears: no prompt, answer or key is left. Takes some ten milliseconds; a coordinator that is never idle overwrites them by working.
/// </summary>
internal static class HeapRelease
{
    public static void WhenIdle(CoordinatorHost host) => host.Idled += Release;

    private static void Release()
    {
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
