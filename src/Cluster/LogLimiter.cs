namespace Lamina.Cluster;

/// <summary>Lets at most a few lines a second through: strangers can cause as many refusals as they like.</summary>
internal sealed class LogLimiter(int perSecond = 5)
{
    private readonly Lock _lock = new();
    private long _second;
    private int _taken;

    public bool TryTake()
    {
        lock (_lock)
        {
            long second = Environment.TickCount64 / 1000;
            if (second != _second)
            {
                (_second, _taken) = (second, 0);
            }

            return _taken++ < perSecond;
        }
    }
}
