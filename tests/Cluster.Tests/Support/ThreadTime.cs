using System.Runtime.InteropServices;

namespace Lamina.Cluster.Tests.Support;

/// <summary>Processor time of the calling thread: what it did itself, however long it had to wait for a processor.</summary>
internal static class ThreadTime
{
    private const int ThreadCpuTime = 3;

    public static TimeSpan Now
    {
        get
        {
            Assert.Equal(0, ReadClock(ThreadCpuTime, out TimeSpec time));
            return TimeSpan.FromTicks((time.Seconds * TimeSpan.TicksPerSecond) + (time.Nanoseconds / 100));
        }
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    private static extern int ReadClock(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
