using System.Threading.RateLimiting;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Batches;
using Microsoft.AspNetCore.Http;
using Prometheus;

namespace Lamina.Coordinator.Quotas;

/// <summary>What every request for work passes: the tenant's turn at the processor, its quota, and a row in the ledger.</summary>
internal sealed class Metering : IDisposable
{
    /// <summary>Of one tenant at a time, so that its connections leave room for those of others whatever its quota says.</summary>
    private const int MaxAnswers = 2048;

    private readonly FrontDoor _door = new();
    private readonly BodyBudget _bodies;
    private readonly QuotaDesk _desk;
    private readonly UsageLedger? _ledger;
    private readonly RunningAnswers _running;
    private readonly Action<MeteredAnswer, string> _ended;
    private readonly Counter _refusals;
    private readonly Counter _stalled;

    /// <param name="ledger">Null where no state is kept.</param>
    /// <param name="ended">Told of each answer when no more of it is made, with how it went.</param>
    public Metering(QuotaDesk desk, UsageLedger? ledger, RunningAnswers running, CollectorRegistry metrics, Action<MeteredAnswer, string>? ended = null, BodyBudget? bodies = null)
    {
        _bodies = bodies ?? new BodyBudget();
        _ended = ended ?? ((_, _) => { });
        _desk = desk;
        _ledger = ledger;
        _running = running;
        _refusals = Metrics.WithCustomRegistry(metrics).CreateCounter("lamina_quota_refusals_total", "Requests refused by a quota.", ["tenant", "reason"]);
        _stalled = Metrics.WithCustomRegistry(metrics).CreateCounter("lamina_stalled_readers_total", "Connections cut because their readers took nothing for too long.", ["tenant"]);
    }

    /// <summary>Reads a request's body; to be disposed when it is parsed. Throws <see cref="ApiException"/> when it finds no room, or cannot be read.</summary>
    public async Task<RequestBody> ReadAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        _running.RequireNotSuspended(caller, null);
        try
        {
            return await RequestBody.ReadAsync(context.Request, _bodies, caller.Tenant);
        }
        catch (ApiException e) when (e.Error.Code == ApiError.OverloadedCode)
        {
            _refusals.WithLabels(caller.Tenant.Value, "bodies").Inc();
            throw;
        }
    }

    /// <summary>The tenant's turn at the processor, for parsing and tokenising. Throws <see cref="ApiException"/> when too many of its requests wait, or when it is suspended.</summary>
    public async ValueTask<RateLimitLease> EnterAsync(Caller caller, CancellationToken cancellation)
    {
        _running.RequireNotSuspended(caller, null);
        RateLimitLease lease = await _door.EnterAsync(caller.Tenant, cancellation);
        if (!lease.IsAcquired)
        {
            lease.Dispose();
            _refusals.WithLabels(caller.Tenant.Value, "front_door").Inc();
            throw ApiError.Overloaded("too many of your requests are being read; try again later").AsException();
        }

        return lease;
    }

    /// <summary>
    /// Refuses, before it is read, a request that the quota would refuse whatever it holds. Throws <see cref="ApiException"/>. Nothing is counted or reserved: that is done when it is
    /// admitted, which may still refuse it.
    /// </summary>
    public void RequireRequestsLeft(Caller caller)
    {
        _running.RequireNotSuspended(caller, null);
        if (_desk.Of(caller.Tenant).Look(caller.Key ?? "") is { } refused)
        {
            RequireAdmitted(caller, refused);
        }
    }

    /// <summary>Takes one of the caller's requests for what needs no place and costs no tokens. Throws <see cref="ApiException"/> when none is left, or when it is suspended.</summary>
    /// <returns>What is left.</returns>
    public async ValueTask<RateLimits> CountAsync(Caller caller, CancellationToken cancellation)
    {
        _running.RequireNotSuspended(caller, null);
        IQuotaGovernor governor = _desk.Of(caller.Tenant);
        var request = Guid.NewGuid();
        QuotaVerdict verdict = await governor.AdmitAsync(request, caller.Key ?? "", default, cancellation);
        RequireAdmitted(caller, verdict);
        governor.Settle(request, 0, 0);
        return verdict.Limits;
    }

    /// <summary>Whether the model exists for the caller.</summary>
    public bool Allows(Caller caller, string model)
    {
        TenantQuotas rules = _desk.RulesOf(caller.Tenant);
        return rules.Of(caller.Key).Allows(model) && rules.Tenant.Allows(model);
    }

    /// <summary>Throws <see cref="ApiException"/> when the caller may not use the model: as if it did not exist, or because it is suspended.</summary>
    public void RequireAllowed(Caller caller, string model, string digest)
    {
        if (!Allows(caller, model))
        {
            throw ApiError.ModelNotFound().AsException();
        }

        _running.RequireNotSuspended(caller, digest);
    }

    /// <summary>Reserves what the answer may come to need and begins its row. Throws <see cref="ApiException"/> when the quota refuses it.</summary>
    /// <param name="retry">What is the same when the request is repeated; empty when it cannot be.</param>
    /// <param name="row">The row that another coordinator began for the same answer; null for one of its own.</param>
    public async Task<MeteredAnswer> AdmitAsync(Caller caller, PendingAnswer answer, Guid retry, CancellationToken cancellation, Guid? row = null)
    {
        AnswerMeter meter = answer.Meter;
        string key = caller.Key ?? "";
        RequireAllowed(caller, meter.Model, meter.Digest);
        if (_running.CountOf(caller.Tenant) >= MaxAnswers)
        {
            _refusals.WithLabels(caller.Tenant.Value, "answers").Inc();
            throw ApiError.Overloaded("too many of your answers are under way; try again later").AsException();
        }

        RequireWithinLimits(caller, meter.Least);
        IQuotaGovernor governor = _desk.Of(caller.Tenant);
        Guid reservation = Guid.NewGuid();
        QuotaVerdict verdict = await governor.AdmitAsync(reservation, key, meter.Cost, cancellation);
        RequireAdmitted(caller, verdict);
        Receipt? receipt = _ledger is null
            ? new Receipt(null, row ?? reservation, -1, false, 0, 0)
            : _ledger.Begin(row ?? reservation, retry, caller.Tenant, key, meter.Model, (int)meter.Cost.PromptTokens, goesOn: row is not null);
        if (receipt is null)
        {
            governor.Settle(reservation, 0, 0);
            if (_ledger!.IsBehind(caller.Tenant))
            {
                throw ApiError.Unavailable("usage cannot be recorded at the moment; try again later").AsException();
            }

            _refusals.WithLabels(caller.Tenant.Value, "answers").Inc();
            throw ApiError.Overloaded("too many of your answers are under way or not read; try again later").AsException();
        }

        meter.Share = LaneShare.Of(caller.Tenant, key, _desk.RulesOf(caller.Tenant));
        return new MeteredAnswer(caller, answer, receipt, verdict.Limits, governor, reservation, _running, _ended);
    }

    /// <summary>
    /// The same endpoint for requests that come without a connection: each is admitted and charged when it is run. Its row stays open until the answer is said to be kept, so that a line
    /// which a crash repeats goes on with its row.
    /// </summary>
    public BeginLine Metered(BeginAnswer begin) => (caller, body, priority, line) =>
    {
        RequireRequestsLeft(caller);
        PendingAnswer answer = begin(caller, body, priority);
        Guid retry = AnswerOrigin.Of(caller, $"batch {line}", SHA256.HashData(body.Span)).Id;
        Receipt? receipt = null;
        return answer with
        {
            Run = cancellation => RunAsync(caller, answer, retry, taken => receipt = taken, cancellation),
            Settle = kept =>
            {
                if (kept)
                {
                    receipt?.Close(UsageOutcome.Completed);
                }
                else
                {
                    receipt?.Retract();
                }
            },
        };
    };

    public void CountStalled(TenantId tenant) => _stalled.WithLabels(tenant.Value).Inc();

    public void Dispose() => _door.Dispose();

    /// <summary>What a limit can never admit would only be admitted past it.</summary>
    private void RequireWithinLimits(Caller caller, RequestCost least)
    {
        TenantQuotas rules = _desk.RulesOf(caller.Tenant);
        if ((rules.Of(caller.Key).Exceeded(least) ?? rules.Tenant.Exceeded(least)) is { } exceeded)
        {
            _refusals.WithLabels(caller.Tenant.Value, QuotaErrors.Label(exceeded.Reason)).Inc();
            throw QuotaErrors.Exceeds(exceeded.Reason, exceeded.Limit, exceeded.Needed).AsException();
        }
    }

    private void RequireAdmitted(Caller caller, QuotaVerdict verdict)
    {
        if (verdict.Decision.Refusal is { } reason)
        {
            _refusals.WithLabels(caller.Tenant.Value, QuotaErrors.Label(reason)).Inc();
            throw QuotaErrors.Of(reason, verdict).AsException();
        }
    }

    private async IAsyncEnumerable<byte[]> RunAsync(Caller caller, PendingAnswer answer, Guid retry, Action<Receipt> began, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using MeteredAnswer metered = await AdmitAsync(caller, answer, retry, cancellation);
        began(metered.Receipt);
        await foreach (NumberedEvent next in metered.RunAsync(cancellation))
        {
            metered.Receipt.Sending(next.TokensBefore, next.Tokens);
            yield return next.Json;
        }
    }
}
