using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// Rules, ledger and suspensions of a running coordinator. What administrators change, through whichever coordinator of the database, is in force here within a third of a second;
/// while the database is away, or what stands there cannot be read, what was last read holds.
/// </summary>
public sealed class QuotaControl : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(300);

    /// <summary>Between two warnings that nothing was read.</summary>
    private static readonly TimeSpan s_warnInterval = TimeSpan.FromMinutes(1);

    private readonly StateDatabase? _state;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _refreshing = new(1);
    private AuditHeads? _audit;
    private long _version = -1;

    /// <summary>By tenant and key, as they were when they could be read last.</summary>
    private Dictionary<(string Tenant, string Key), QuotaRules> _rules = [];

    private string _unreadable = "";
    private long _readAt = Stopwatch.GetTimestamp();
    private Task _watching = Task.CompletedTask;

    private QuotaControl(StateDatabase? state, UsageLedger? ledger, QuotaDesk desk, ILogger logger)
    {
        _state = state;
        _logger = logger;
        Ledger = ledger;
        Desk = desk;
        Quotas = state is null ? null : new QuotaStore(state);
        Suspensions = state is null ? null : new SuspensionStore(state);
    }

    /// <summary>Null where no state is kept.</summary>
    public QuotaStore? Quotas { get; }

    public SuspensionStore? Suspensions { get; }

    internal UsageLedger? Ledger { get; }

    /// <summary>Null where no state is kept.</summary>
    public AuditLog? Audit => _audit?.Log;

    internal Auditor Auditor { get; private init; } = new(null, TimeProvider.System);

    internal QuotaDesk Desk { get; }

    internal RunningAnswers Running { get; } = new();

    /// <summary>What the governor of a cell with several coordinators works with, when it lives here.</summary>
    internal GovernorSources Sources => new(Desk.RulesOf, UsedTodayAsync);

    /// <summary>Called after suspensions have changed.</summary>
    internal event Action<SuspensionList>? Suspended;

    /// <summary>Opens the ledger, enters what a crash left, and reads rules and suspensions.</summary>
    public static async Task<QuotaControl> StartAsync(
        CoordinatorOptions options, AccessControl? access, Func<IReadOnlyList<Cell>> cells, ILogger logger, CancellationToken cancellation)
    {
        Dictionary<TenantId, TenantQuotas> configured = options.Cells.ToDictionary(cell => cell.Tenant, cell => cell.Quotas);
        var desk = new QuotaDesk(
            configured,
            (tenant, budget) => cells().FirstOrDefault(cell => cell.Tenant == tenant)?.CreateGovernor(budget, TimeProvider.System) ?? new LocalGovernor(budget, TimeProvider.System),
            TimeProvider.System);
        UsageLedger? ledger = access is null
            ? null
            : await UsageLedger.OpenAsync(Path.Combine(options.StorePath, "usage"), options.Cells[0].Name, access.State, TimeProvider.System, logger, cancellation, options.Cells.Count);
        AuditHeads? audit = access is null
            ? null
            : await AuditHeads.OpenAsync(Path.Combine(options.StorePath, "audit"), options.Cells[0].Tenant.Value, options.Cells[0].Name, access.State, TimeProvider.System, logger, cancellation);
        var control = new QuotaControl(access?.State, ledger, desk, logger) { _audit = audit, Auditor = new Auditor(audit?.Log, TimeProvider.System) };
        try
        {
            await control.BeginAsync(configured.Keys, cancellation);
        }
        catch
        {
            await control.DisposeAsync();
            throw;
        }

        return control;
    }

    /// <summary>Reads rules and suspensions now. Throws <see cref="StateUnavailableException"/> when it cannot.</summary>
    public async Task RefreshAsync(CancellationToken cancellation)
    {
        if (_state is null)
        {
            return;
        }

        await _refreshing.WaitAsync(cancellation);
        try
        {
            // Suspensions first and by themselves: nothing that is wrong with the rules keeps one from being heard of.
            (long version, SuspensionList? suspensions) = await _state.RunAsync(context => ReadSuspensionsAsync(context, cancellation), cancellation);
            Volatile.Write(ref _readAt, Stopwatch.GetTimestamp());
            if (suspensions is null)
            {
                return;
            }

            int ended = Running.Change(suspensions);
            if (ended > 0)
            {
                _logger.LogWarning("{Count} answers ended because what they need is suspended", ended);
            }

            Suspended?.Invoke(suspensions);
            IReadOnlyList<QuotaRow> rows = await _state.RunAsync(context => QuotaStore.ReadAsync(context, cancellation), cancellation);
            ChangeRules(rows, suspensions.Unknown);
            _version = version;
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <summary>How long ago it was last seen that suspensions here are those of the database; null where no state is kept.</summary>
    internal TimeSpan? Age => _state is null ? null : Stopwatch.GetElapsedTime(Volatile.Read(ref _readAt));

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watching;
        if (Ledger is not null)
        {
            await Ledger.DisposeAsync();
        }

        if (_audit is not null)
        {
            await _audit.DisposeAsync();
        }

        _stopping.Dispose();
        _refreshing.Dispose();
    }

    private async Task<ImmutableDictionary<string, DayUse>> UsedTodayAsync(TenantId tenant)
    {
        long today = DayBudget.DayOf(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());
        IReadOnlyList<UsageDayRow> rows = Ledger is null ? [] : await Ledger.ReadAsync(tenant, today, today, _stopping.Token);
        return rows.GroupBy(row => row.Key).ToImmutableDictionary(
            key => key.Key, key => new DayUse(key.Sum(row => row.Requests), key.Sum(row => row.PromptTokens), key.Sum(row => row.GeneratedTokens)));
    }

    private async Task BeginAsync(IEnumerable<TenantId> tenants, CancellationToken cancellation)
    {
        if (Ledger is null)
        {
            return;
        }

        foreach (TenantId tenant in tenants)
        {
            Desk.Begin(tenant, await UsedTodayAsync(tenant));
        }

        await RefreshAsync(cancellation);
        _watching = Task.Run(WatchAsync, CancellationToken.None);
    }

    /// <param name="unknown">Suspensions that this version cannot read.</param>
    private void ChangeRules(IReadOnlyList<QuotaRow> rows, IReadOnlyList<string> unknown)
    {
        var rules = new Dictionary<(string Tenant, string Key), QuotaRules>();
        var unreadable = new List<string>(unknown.Select(one => "the suspension of " + one));
        foreach (QuotaRow row in rows)
        {
            QuotaRules? read = row.TryRead();
            if (read is null)
            {
                unreadable.Add($"the rules of tenant '{row.Tenant}', key '{row.Key}'");
            }

            // One that cannot be read stays as it was; where it never could be, the configuration's holds.
            if ((read ?? _rules.GetValueOrDefault((row.Tenant, row.Key))) is { } held)
            {
                rules[(row.Tenant, row.Key)] = held;
            }
        }

        Desk.Change(QuotaStore.Combine(rows.Where(row => rules.ContainsKey((row.Tenant, row.Key))).Select(row => (row, rules[(row.Tenant, row.Key)]))));
        _rules = rules;
        string problem = string.Join(", ", unreadable);
        if (problem != _unreadable && problem.Length > 0)
        {
            _logger.LogError("{Problem} cannot be read in the database; a newer coordinator may have written them. Such rules stay as they were, such suspensions do not hold here", problem);
        }

        _unreadable = problem;
    }

    private async Task<(long Version, SuspensionList? Suspensions)> ReadSuspensionsAsync(StateContext context, CancellationToken cancellation)
    {
        // The version first: a change in between is then read again, never missed.
        string text = await context.Facts.Where(fact => fact.Name == ControlChange.Version).Select(fact => fact.Value).SingleAsync(cancellation);
        long version = long.Parse(text, CultureInfo.InvariantCulture);
        return version == _version ? (version, null) : (version, await SuspensionStore.ReadAsync(context, cancellation));
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(s_interval);
        long? warnedAt = null;
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                try
                {
                    await RefreshAsync(_stopping.Token);
                    if (warnedAt is not null)
                    {
                        _logger.LogInformation("quotas and suspensions are read again");
                    }

                    warnedAt = null;
                }
                catch (Exception e) when (!_stopping.IsCancellationRequested)
                {
                    // Whatever it is, the next look may find it gone; who stopped looking would never hear of a suspension again.
                    if (warnedAt is not { } last || Stopwatch.GetElapsedTime(last) >= s_warnInterval)
                    {
                        warnedAt = Stopwatch.GetTimestamp();
                        _logger.LogWarning(
                            "{Problem}; quotas and suspensions stay as they were last read, {Seconds} s ago", e is StateUnavailableException ? e.Message : $"{e.GetType().Name}: {e.Message}", (long)Age!.Value.TotalSeconds);
                    }
                }
            }
        }
        catch (Exception) when (_stopping.IsCancellationRequested)
        {
            // The coordinator stops.
        }
    }
}
