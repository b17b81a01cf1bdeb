using System.Collections.Concurrent;
using System.Threading.Channels;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// Who used what, exact across crashes. A token is counted in the process' slot file before it is handed to the connection, so none is given away uncounted; ended requests move to
/// the database by their id, so none counts twice; what a crash interrupted is entered at the next start with what its client had been given. Requests never wait for the database:
/// while it is away, ended ones wait in their slots.
/// </summary>
internal sealed class UsageLedger : IAsyncDisposable
{
    private const int BatchSize = 256;
    private const int MaxFiles = 16;

    /// <summary>Entered requests that are kept in memory for their repetition.</summary>
    private const int MaxRepeatable = 32_768;

    private static readonly TimeSpan s_moveInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_retryInterval = TimeSpan.FromSeconds(1);

    private readonly UsageSlots _slots;
    private readonly UsageStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<int> _ended = Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true });

    /// <summary>
    /// Entered requests by what their repetition is known by, which goes on with them and is not charged again: those that did not come to their end, and those of earlier
    /// processes that did, as the last of an answer may have been lost with the process.
    /// </summary>
    private readonly ConcurrentDictionary<Guid, UsageRow> _interrupted = new();

    /// <summary>Requests that go on after a crash, with what the database has of them.</summary>
    private readonly ConcurrentDictionary<Guid, UsageRow> _goingOn = new();

    private readonly SemaphoreSlim _moving = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private Task _mover = Task.CompletedTask;

    private UsageLedger(UsageSlots slots, UsageStore store, TimeProvider time, ILogger logger)
    {
        _slots = slots;
        _store = store;
        _time = time;
        _logger = logger;
    }

    /// <summary>Opens a slot file of the folder that no other process has open, and enters what earlier processes left in it and in others like it.</summary>
    /// <param name="name">The coordinator's.</param>
    /// <param name="tenants">How many it serves: each has slots of its own.</param>
    /// <param name="slotsPerTenant">Null for as many as usual.</param>
    public static async Task<UsageLedger> OpenAsync(
        string folder, string name, StateDatabase state, TimeProvider time, ILogger logger, CancellationToken cancellation, int tenants = 1, int? slotsPerTenant = null)
    {
        UsageLedger? own = null;
        for (int number = 1; number <= MaxFiles; number++)
        {
            string path = Path.Combine(folder, $"{name}-{number}.open");
            if ((own is not null && !File.Exists(path)) || UsageSlots.TryOpen(path, tenants, slotsPerTenant) is not { } slots)
            {
                continue;
            }

            var ledger = new UsageLedger(slots, new UsageStore(state), time, logger);
            try
            {
                await ledger.RecoverAsync(cancellation);
            }
            catch
            {
                slots.Dispose();
                own?._slots.Dispose();
                throw;
            }

            if (own is null)
            {
                own = ledger;
            }
            else
            {
                slots.Dispose();
            }
        }

        if (own is null)
        {
            throw new IOException($"the usage files in '{folder}' are all in use by other processes");
        }

        await own.ReadInterruptedAsync(cancellation);
        own._mover = Task.Run(own.MoveAllAsync, CancellationToken.None);
        return own;
    }

    /// <summary>Begins a request's row; goes on with that of the same request if a crash interrupted it. Null when the tenant's slots are all taken: <see cref="IsBehind"/> says by what.</summary>
    /// <param name="retry">What is the same when the request is repeated; empty when it cannot be.</param>
    /// <param name="goesOn">The row is that of an answer which another coordinator of the database began: what its client has is counted up to where it is, from the answer's begin.</param>
    public Receipt? Begin(Guid id, Guid retry, TenantId tenant, string key, string model, int promptTokens, bool goesOn = false)
    {
        UsageRow? earlier = null;
        bool repeated = retry != Guid.Empty && _interrupted.TryRemove(retry, out earlier);
        var content = new SlotContent(
            repeated ? Guid.Parse(earlier!.Id) : id, retry, tenant.Value, key, model, repeated ? earlier!.Started : Now, promptTokens, repeated,
            repeated ? earlier!.FirstToken : 0, repeated ? earlier!.GeneratedTokens : 0, null);
        int slot = _slots.Take(content);
        if (repeated)
        {
            (slot < 0 ? _interrupted : _goingOn)[slot < 0 ? retry : content.Id] = earlier!;
        }

        return slot < 0 ? null : new Receipt(this, content.Id, slot, content.Begun, content.First, content.First + content.Generated) { FromBegin = goesOn };
    }

    /// <summary>Whether most of the tenant's slots wait for the database, not for readers.</summary>
    public bool IsBehind(TenantId tenant) => _slots.IsBehind(tenant.Value);

    /// <summary>What a tenant used, by day, key and model, with what runs at the moment.</summary>
    public async Task<IReadOnlyList<UsageDayRow>> ReadAsync(TenantId tenant, long firstDay, long lastDay, CancellationToken cancellation)
    {
        // While nothing moves, a request is either in its slot or in the database.
        await _moving.WaitAsync(cancellation);
        try
        {
            SlotContent[] open = [.. _slots.Taken().Select(_slots.Read).Where(slot => slot.Tenant == tenant.Value && slot.Begun)];
            UsageDayRow[] rows = await _store.DaysAsync(tenant.Value, firstDay, lastDay, cancellation);
            return UsageSums.Of(rows, open, id => _goingOn.GetValueOrDefault(id), firstDay, lastDay);
        }
        finally
        {
            _moving.Release();
        }
    }

    /// <summary>Enters at once what has ended; for tests and for the end of the process.</summary>
    public async Task FlushAsync(CancellationToken cancellation)
    {
        await _moving.WaitAsync(cancellation);
        try
        {
            while (await MoveAsync(cancellation))
            {
            }
        }
        finally
        {
            _moving.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _mover;
        using var deadline = new CancellationTokenSource(s_retryInterval);
        try
        {
            await FlushAsync(deadline.Token);
        }
        catch (Exception e) when (e is StateUnavailableException or OperationCanceledException)
        {
            _logger.LogWarning("usage of ended requests stays in the usage file until the next start: {Problem}", e.Message);
        }

        _slots.Dispose();
        _stopping.Dispose();
        _moving.Dispose();
    }

    internal void Store(int slot, bool begun, long first, long end) => _slots.Store(slot, begun, first, end);

    internal void Close(int slot, UsageOutcome outcome)
    {
        _slots.End(slot, outcome);
        _ended.Writer.TryWrite(slot);
    }

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private async Task RecoverAsync(CancellationToken cancellation)
    {
        int[] left = [.. _slots.Taken()];
        SlotContent[] begun = [.. left.Select(_slots.Read).Where(slot => slot.Begun)];
        foreach (SlotContent[] batch in begun.Chunk(BatchSize))
        {
            await _store.SettleAsync(batch, cancellation);
        }

        foreach (int slot in left)
        {
            _slots.Release(slot);
        }

        if (left.Length > 0)
        {
            _logger.LogWarning("{Count} requests were interrupted or not yet entered when the coordinator ended; {Begun} of them are now in the ledger", left.Length, begun.Length);
        }

    }

    private async Task ReadInterruptedAsync(CancellationToken cancellation)
    {
        foreach (UsageRow row in await _store.RepeatableAsync(Now, MaxRepeatable, cancellation))
        {
            // Newest first.
            _interrupted.TryAdd(Guid.Parse(row.Retry!), row);
        }

        await _store.ForgetOldAsync(Now, cancellation);
    }

    private async Task MoveAllAsync()
    {
        using var timer = new PeriodicTimer(s_moveInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                _slots.Sync();
                try
                {
                    await FlushAsync(_stopping.Token);
                }
                catch (StateUnavailableException e)
                {
                    _logger.LogWarning("usage waits for the database: {Problem}", e.Message);
                    await Task.Delay(s_retryInterval, _time, _stopping.Token);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }

    /// <summary>Enters a batch of ended requests; false when there is none. What fails is tried again.</summary>
    private async Task<bool> MoveAsync(CancellationToken cancellation)
    {
        var slots = new List<int>();
        while (slots.Count < BatchSize && _ended.Reader.TryRead(out int slot))
        {
            slots.Add(slot);
        }

        if (slots.Count == 0)
        {
            return false;
        }

        SlotContent[] contents = [.. slots.Select(_slots.Read)];
        try
        {
            await _store.SettleAsync([.. contents.Where(content => content.Begun)], cancellation);
        }
        catch
        {
            slots.ForEach(slot => _ended.Writer.TryWrite(slot));
            throw;
        }

        foreach ((int slot, SlotContent content) in slots.Zip(contents))
        {
            if (content is { Begun: true, Outcome: not UsageOutcome.Completed } && content.Retry != Guid.Empty && _interrupted.Count < MaxRepeatable)
            {
                _interrupted[content.Retry] = UsageStore.RowOf(content);
            }

            _goingOn.TryRemove(content.Id, out _);
            _slots.Release(slot);
        }

        return true;
    }
}
