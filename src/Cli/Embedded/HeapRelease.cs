using System.Runtime;
using Lamina.Coordinator;

namespace Lamina.Cli.Embedded;

/// <summary>
/// Text of requests stands in the heap until its place is taken again. So when a coordinator has nothing to do, the collector compacts the heap and gives back to the system what that leaves, which
/// the system clears. A coordinator that is never idle overwrites it by working.
/// </summary>
internal static class HeapRelease
{
    private const int FillingBytes = 32 << 20, PieceBytes = 2048;

    public static void WhenIdle(CoordinatorHost host) => host.Idled += Release;

    private static void Release()
    {
        Compact();
        if (GC.GetTotalMemory(forceFullCollection: false) + (4L * FillingBytes) > GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
        {
            return;
        }

        // What lies behind the last object of a region that stays in use is not given back: objects of zeros are put there, and taken away again.
        byte[][] filling = new byte[FillingBytes / PieceBytes][];
        for (int i = 0; i < filling.Length; i++)
        {
            filling[i] = new byte[PieceBytes];
        }

        GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
        GC.KeepAlive(filling);
        filling = [];
        Compact();
    }

    private static void Compact()
    {
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
