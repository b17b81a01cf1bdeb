using System.Diagnostics;

namespace Lamina.Node.Pipeline;

/// <summary>What a compute thread has done; written by it alone, read by anyone.</summary>
internal sealed class StageMeter
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private long _steps;
    private long _rows;
    private long _busyTicks;
    private long _staleFrames;

    public long Steps => Volatile.Read(ref _steps);
    public long Rows => Volatile.Read(ref _rows);
    public TimeSpan Busy => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _busyTicks));
    public TimeSpan Age => Stopwatch.GetElapsedTime(_started);

    /// <summary>Frames of another epoch that were dropped.</summary>
    public long StaleFrames => Volatile.Read(ref _staleFrames);

    public void CountStep(int rows, long ticks)
    {
        Volatile.Write(ref _steps, _steps + 1);
        Volatile.Write(ref _rows, _rows + rows);
        Volatile.Write(ref _busyTicks, _busyTicks + ticks);
    }

    public void CountStaleFrame() => Interlocked.Increment(ref _staleFrames);
}
