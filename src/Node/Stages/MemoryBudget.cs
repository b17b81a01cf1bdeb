using Lamina.Cluster.Messages;

namespace Lamina.Node.Stages;

/// <summary>Bytes that stages may hold in all, and who holds how many. Thread-safe.</summary>
internal sealed class MemoryBudget(long limit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<StageAddress, long> _held = [];

    /// <summary>Stages whose end was asked for and that still hold memory.</summary>
    private readonly HashSet<StageAddress> _leaving = [];

    private TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long Limit { get; } = limit;

    public long Used
    {
        get
        {
            lock (_gate)
            {
                return _held.Values.Sum();
            }
        }
    }

    /// <summary>
    /// Null when the stage may hold that many bytes, else the sentence why not. Waits for stages that are leaving: after a loss the next epoch is loaded while the last one
    /// is still being zeroed.
    /// </summary>
    public async Task<string?> ReserveAsync(StageAddress stage, long bytes, CancellationToken cancellation)
    {
        while (true)
        {
            Task released;
            lock (_gate)
            {
                long others = Held(h => h != stage);
                if (bytes <= Limit - others)
                {
                    _held[stage] = bytes;
                    return null;
                }

                if (bytes > Limit - Held(h => h != stage && !_leaving.Contains(h)))
                {
                    return $"stage {stage} needs {bytes} bytes, the node has {Math.Max(0, Limit - others)} of {Limit} left";
                }

                released = _released.Task;
            }

            await released.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>What a stage really holds, once it stands.</summary>
    public void Set(StageAddress stage, long bytes)
    {
        lock (_gate)
        {
            _held[stage] = bytes;
        }
    }

    /// <summary>The stage's memory is to be released soon.</summary>
    public void Leave(StageAddress stage)
    {
        lock (_gate)
        {
            _leaving.Add(stage);
        }
    }

    public void Release(StageAddress stage)
    {
        lock (_gate)
        {
            _held.Remove(stage);
            _leaving.Remove(stage);
            _released.TrySetResult();
            _released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private long Held(Func<StageAddress, bool> which) => _held.Where(h => which(h.Key)).Sum(h => h.Value);
}
