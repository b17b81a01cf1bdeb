using System.Runtime.InteropServices;

namespace Lamina.Compute.Tests.Fuzzing;

/// <summary>Processor time of this thread, which neighbours on a loaded machine do not lengthen.</summary>
internal static partial class ThreadTime
{
    private const int ThreadClock = 3;

    public static unsafe TimeSpan Now
    {
        get
        {
            long* time = stackalloc long[2];
            return Read(ThreadClock, time) == 0 ? TimeSpan.FromSeconds(time[0]) + TimeSpan.FromMicroseconds(time[1] / 1000.0) : throw new InvalidOperationException("no thread clock");
        }
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int Read(int clock, long* time);
}
