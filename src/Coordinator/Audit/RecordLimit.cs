using System.Collections.Concurrent;

namespace Lamina.Coordinator.Audit;

/// <summary>Lets a few records of a kind through each second and counts the rest, so that a flood of refusals does not fill the disk.</summary>
internal sealed class RecordLimit(int perSecond, TimeProvider time)
{
    private const int MaxKinds = 4096;

    private readonly ConcurrentDictionary<string, Window> _windows = new(StringComparer.Ordinal);

    private sealed class Window
    {
        public long Second { get; set; }
        public int Passed { get; set; }
        public long Suppressed { get; set; }
    }

    /// <summary>Whether to record one more of the kind, and how many were left out before it.</summary>
    public bool TryPass(string kind, out long suppressed)
    {
        long second = time.GetUtcNow().ToUnixTimeSeconds();

        // More kinds than that share one window.
        Window window = _windows.GetOrAdd(_windows.Count < MaxKinds ? kind : "", _ => new Window());
        lock (window)
        {
            if (window.Second != second)
            {
                (window.Second, window.Passed) = (second, 0);
            }

            suppressed = window.Suppressed;
            if (window.Passed >= perSecond)
            {
                window.Suppressed++;
                return false;
            }

            window.Passed++;
            window.Suppressed = 0;
            return true;
        }
    }
}
