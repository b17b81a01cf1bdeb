using Lamina.Cluster.Messages;

namespace Lamina.Node.Stages;

/// <summary>Bytes that stages may hold in all, and who holds how many. Thread-safe.</summary>
internal sealed class MemoryBudget(long limit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<StageAddress, long> _held = [];

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

    /// <summary>Null when the stage may hold that many bytes, else the sentence why not.</summary>
    public string? Reserve(StageAddress stage, long bytes)
    {
        lock (_gate)
        {
            long others = _held.Where(h => h.Key != stage).Sum(h => h.Value);
            if (bytes > Limit - others)
            {
                return $"stage {stage} needs {bytes} bytes, the node has {Math.Max(0, Limit - others)} of {Limit} left";
            }

            _held[stage] = bytes;
            return null;
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

    public void Release(StageAddress stage)
    {
        lock (_gate)
        {
            _held.Remove(stage);
        }
    }
}
