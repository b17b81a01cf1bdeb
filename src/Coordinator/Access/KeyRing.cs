using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics;
using System.Globalization;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Access;

/// <summary>
/// The keys and tenants in memory, and what of them is suspended, read again within half a second of each change of the database, whoever made it. While the database is away the last state holds,
/// so requests and streams never wait for it.
/// </summary>
public sealed class KeyRing : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(400);

    /// <summary>Between two readings for keys that nobody knows, so that a flood of them costs the database twenty small queries a second.</summary>
    private static readonly TimeSpan s_lookInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a key that nobody knows waits for a database that does not answer.</summary>
    private static readonly TimeSpan s_lookLimit = TimeSpan.FromSeconds(5);

    private readonly StateDatabase _state;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _refreshing = new(1);
    private readonly ConcurrentDictionary<(string Key, TenantId? Tenant), CancellationTokenSource> _running = new();
    private readonly ConcurrentDictionary<string, int> _usedOn = new();
    private readonly ConcurrentDictionary<string, int> _unwritten = new();
    private readonly Lock _looking = new();
    private Task _look = Task.CompletedTask;
    private Task? _nextLook;
    private long _lookedAt;
    private volatile AccessView _view = AccessView.Empty;
    private Task _watching = Task.CompletedTask;
    private bool _isAway;

    private KeyRing(StateDatabase state, TimeProvider time, ILogger logger)
    {
        _state = state;
        _time = time;
        _logger = logger;
    }

    /// <summary>A key was revoked or suspended, or its tenant suspended or removed; raised once each time, on a thread of the pool, after its token (<see cref="EndOf"/>) was cancelled.</summary>
    public event Action<KeyEnded>? Ended;

    /// <summary>Reads the keys and watches them from then on.</summary>
    public static async Task<KeyRing> StartAsync(StateDatabase state, TimeProvider time, ILogger logger, CancellationToken cancellation)
    {
        var ring = new KeyRing(state, time, logger);
        await ring.RefreshAsync(cancellation);
        ring._watching = Task.Run(() => ring.WatchAsync(ring._stopping.Token), CancellationToken.None);
        return ring;
    }

    /// <summary>
    /// Whose key this is, or why it is refused. A key that is not known is looked for in the database once more first: one that was made a moment ago, by a command or by another coordinator, is good
    /// from its first request on.
    /// </summary>
    public async ValueTask<(ApiKey? Key, KeyRefusal? Refusal)> AuthenticateAsync(ReadOnlyMemory<char> text, CancellationToken cancellation)
    {
        (ApiKey? Key, KeyRefusal? Refusal) found = Authenticate(text.Span);
        if (found.Refusal is not KeyRefusal.Unknown || !ApiKeyText.TryParse(text.Span, out _))
        {
            return found;
        }

        await LookAgain().WaitAsync(s_lookLimit, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellation.ThrowIfCancellationRequested();
        return Authenticate(text.Span);
    }

    /// <summary>Whose key this is, or why it is refused, by what was last read.</summary>
    public (ApiKey? Key, KeyRefusal? Refusal) Authenticate(ReadOnlySpan<char> text)
    {
        if (!ApiKeyText.TryParse(text, out string? id))
        {
            return (null, KeyRefusal.Unknown);
        }

        DateTimeOffset now = _time.GetUtcNow();
        (ApiKey? Key, KeyRefusal? Refusal) found = _view.Find(id, ApiKeyText.Hash(_state.Secret, text), now);
        if (found.Key is { } key)
        {
            NoteUse(key.Id, DateOnly.FromDateTime(now.UtcDateTime).DayNumber);
        }

        return found;
    }

    /// <summary>Why what a caller started may not go on; null when it may. Expiry only keeps new requests out.</summary>
    public KeyRefusal? RefusalOf(string key, TenantId? tenant) => _view.EndOf(key, tenant);

    /// <summary>Cancelled when the key is revoked or suspended, or its tenant suspended: what runs on its behalf ends then. Expiry only keeps new requests out.</summary>
    public CancellationToken EndOf(string key, TenantId? tenant)
    {
        CancellationToken token = _running.GetOrAdd((key, tenant), _ => new CancellationTokenSource()).Token;
        if (RefusalOf(key, tenant) is { } reason)
        {
            // It ended between the check of the request and here.
            End(key, tenant, reason);
        }

        return token;
    }

    public Tenant? FindTenant(TenantId tenant) => _view.Tenants.GetValueOrDefault(tenant);

    /// <summary>Reads the keys again now if they have changed; throws <see cref="StateUnavailableException"/> when it cannot.</summary>
    public async Task RefreshAsync(CancellationToken cancellation)
    {
        await _refreshing.WaitAsync(cancellation);
        try
        {
            await WriteUsesAsync(cancellation);
            AccessView before = _view;
            AccessView? after = await _state.RunAsync(context => ReadAsync(context, before.Version, cancellation), cancellation);
            if (after is not null)
            {
                _view = after;
                EndRunning(after);
            }
        }
        finally
        {
            _refreshing.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watching;
        Task looking;
        lock (_looking)
        {
            looking = _nextLook ?? _look;
        }

        await looking;
        _stopping.Dispose();
        _refreshing.Dispose();
    }

    private static async Task<AccessView?> ReadAsync(StateContext context, long known, CancellationToken cancellation)
    {
        // The versions first: a change in between is then read again, never missed. Keys are suspended under the version of suspensions; both only grow, so their sum tells every change of either.
        string[] versions = await context.Facts.Where(fact => fact.Name == FactRow.AccessVersion || fact.Name == ControlChange.Version).Select(fact => fact.Value).ToArrayAsync(cancellation);
        long version = versions.Sum(text => long.Parse(text, CultureInfo.InvariantCulture));
        if (version == known)
        {
            return null;
        }

        TenantRow[] tenants = await context.Tenants.AsNoTracking().ToArrayAsync(cancellation);
        KeyRow[] keys = await context.Keys.AsNoTracking().ToArrayAsync(cancellation);
        FrozenSet<SuspendedKey> suspended = await SuspensionStore.ReadKeysAsync(context, cancellation);
        return new AccessView(
            keys.Select(KeyEntry.Of).ToFrozenDictionary(entry => entry.Key.Id, StringComparer.Ordinal),
            tenants.Select(TenantStore.TenantOf).ToFrozenDictionary(tenant => tenant.Id),
            suspended,
            version);
    }

    private async Task WatchAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(s_interval);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                await TryRefreshAsync(stopping);
            }
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }

    /// <summary>A reading that begins after this call; all who ask before it begins share it.</summary>
    private Task LookAgain()
    {
        lock (_looking)
        {
            Task before = _look;
            return _nextLook ??= _stopping.IsCancellationRequested ? Task.CompletedTask : Task.Run(() => LookAfterAsync(before));
        }
    }

    private async Task LookAfterAsync(Task previous)
    {
        await previous;
        try
        {
            if (s_lookInterval - Stopwatch.GetElapsedTime(_lookedAt) is { Ticks: > 0 } rest)
            {
                await Task.Delay(rest, _stopping.Token);
            }

            lock (_looking)
            {
                // Whoever comes from here on may have missed this reading, and gets the next.
                _look = _nextLook!;
                _nextLook = null;
                _lookedAt = Stopwatch.GetTimestamp();
            }

            await TryRefreshAsync(_stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }

    private async Task TryRefreshAsync(CancellationToken stopping)
    {
        try
        {
            await RefreshAsync(stopping);
            if (_isAway)
            {
                _logger.LogInformation("the state database answers again");
            }

            _isAway = false;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            if (!_isAway)
            {
                _logger.LogWarning("{Problem}; keys and tenants stay as they were last read", e.Message);
            }

            _isAway = true;
        }
    }

    private void EndRunning(AccessView view)
    {
        foreach ((string key, TenantId? tenant) in _running.Keys)
        {
            if (view.EndOf(key, tenant) is { } reason)
            {
                End(key, tenant, reason);
            }
        }
    }

    private void End(string key, TenantId? tenant, KeyRefusal reason)
    {
        if (_running.TryRemove((key, tenant), out CancellationTokenSource? running))
        {
            running.Cancel();
            Ended?.Invoke(new KeyEnded(key, tenant, reason));
        }
    }

    private void NoteUse(string key, int today)
    {
        if (!_usedOn.TryGetValue(key, out int day) || day != today)
        {
            _usedOn[key] = today;
            _unwritten[key] = today;
        }
    }

    private async Task WriteUsesAsync(CancellationToken cancellation)
    {
        foreach ((string id, int day) in _unwritten)
        {
            await _state.RunAsync(context => context.Keys.Where(key => key.Id == id).ExecuteUpdateAsync(set => set.SetProperty(key => key.LastUsedDay, day), cancellation), cancellation);
            _unwritten.TryRemove(KeyValuePair.Create(id, day));
        }
    }
}
