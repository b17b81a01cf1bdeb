using System.Collections.Immutable;
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
/// while the database is away, what was last read holds.
/// </summary>
public sealed class QuotaControl : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(300);

    private readonly StateDatabase? _state;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _refreshing = new(1);
    private AuditHeads? _audit;
    private long _version = -1;
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
            (long version, IReadOnlyDictionary<TenantId, TenantQuotas>? quotas, SuspensionList? suspensions) = await _state.RunAsync(context => ReadAsync(context, cancellation), cancellation);
            if (quotas is null)
            {
                return;
            }

            Desk.Change(quotas);
            int ended = Running.Change(suspensions!);
            if (ended > 0)
            {
                _logger.LogWarning("{Count} answers ended because what they need is suspended", ended);
            }

            Suspended?.Invoke(suspensions!);
            _version = version;
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

    private async Task<(long Version, IReadOnlyDictionary<TenantId, TenantQuotas>? Quotas, SuspensionList? Suspensions)> ReadAsync(StateContext context, CancellationToken cancellation)
    {
        // The version first: a change in between is then read again, never missed.
        string text = await context.Facts.Where(fact => fact.Name == ControlChange.Version).Select(fact => fact.Value).SingleAsync(cancellation);
        long version = long.Parse(text, CultureInfo.InvariantCulture);
        return version == _version
            ? (version, null, null)
            : (version, await QuotaStore.ReadAsync(context, cancellation), await SuspensionStore.ReadAsync(context, cancellation));
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(s_interval);
        bool isAway = false;
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                try
                {
                    await RefreshAsync(_stopping.Token);
                    isAway = false;
                }
                catch (StateUnavailableException e)
                {
                    if (!isAway)
                    {
                        _logger.LogWarning("{Problem}; quotas and suspensions stay as they were last read", e.Message);
                    }

                    isAway = true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }
}
