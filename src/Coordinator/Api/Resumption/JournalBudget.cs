namespace Lamina.Coordinator.Api.Resumption;

/// <summary>The memory that one tenant's journals share.</summary>
/// <param name="evict">Drops the oldest ended journal; false when there is none.</param>
internal sealed class JournalBudget(long bytes, Func<bool> evict)
{
    private long _used;

    public long Used => Interlocked.Read(ref _used);

    /// <summary>Takes memory, if need be by dropping ended journals.</summary>
    /// <param name="always">Takes it even beyond the budget.</param>
    public bool TryTake(int count, bool always)
    {
        do
        {
            if (Interlocked.Add(ref _used, count) <= bytes || always)
            {
                return true;
            }

            Interlocked.Add(ref _used, -count);
        }
        while (evict());

        return false;
    }

    public void Return(long count) => Interlocked.Add(ref _used, -count);
}
