namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>What is to happen and when, run on one thread in an order that the seed alone decides.</summary>
internal sealed class VirtualTime(Random random)
{
    private readonly PriorityQueue<Action, (double Time, long Number)> _queue = new();
    private long _number;

    /// <summary>Seconds since the start.</summary>
    public double Now { get; private set; }

    public void At(double time, Action action) => _queue.Enqueue(action, (Math.Max(time, Now), _number++));

    /// <summary>After a time drawn evenly from the range.</summary>
    public void After(double least, double most, Action action) => At(Now + least + (random.NextDouble() * (most - least)), action);

    /// <summary>Runs until the condition holds; false when the time limit came first.</summary>
    public bool RunUntil(Func<bool> condition, double limit)
    {
        while (!condition())
        {
            if (!_queue.TryDequeue(out Action? action, out (double Time, long Number) due) || due.Time > limit)
            {
                return false;
            }

            Now = due.Time;
            action();
        }

        return true;
    }
}
