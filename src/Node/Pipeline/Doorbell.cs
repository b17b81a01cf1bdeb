using System.Diagnostics;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Wakes one waiting thread. The waiter spins briefly, because the next frame of a running pipeline is often microseconds away, then parks, because a spinning
/// thread takes the core from the neighbour it waits for.
/// </summary>
internal sealed class Doorbell
{
    private static readonly long s_spinTicks = Environment.ProcessorCount > 1 ? Stopwatch.Frequency / 40_000 : 0;

    private readonly object _gate = new();
    private int _rung;

    /// <summary>To be called after the news is in place.</summary>
    public void Ring()
    {
        if (Interlocked.Exchange(ref _rung, 1) == 0)
        {
            lock (_gate)
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>Returns after a ring, at once when one came since the last call; the waiter then looks for all news.</summary>
    public void Wait()
    {
        long start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref _rung) == 0)
        {
            if (Stopwatch.GetTimestamp() - start > s_spinTicks)
            {
                Park();
                break;
            }

            Thread.SpinWait(8);
        }

        Interlocked.Exchange(ref _rung, 0);
    }

    private void Park()
    {
        lock (_gate)
        {
            while (Volatile.Read(ref _rung) == 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }
}
