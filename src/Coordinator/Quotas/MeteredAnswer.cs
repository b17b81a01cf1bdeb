using System.Runtime.CompilerServices;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;

namespace Lamina.Coordinator.Quotas;

/// <summary>An admitted answer while it is made: what it reserved, what its client got, and the means to end it when something it needs is suspended.</summary>
internal sealed class MeteredAnswer : IDisposable
{
    private readonly IQuotaGovernor _governor;
    private readonly Guid _reservation;
    private readonly RunningAnswers _running;
    private readonly CancellationTokenSource _suspended = new();
    private readonly Action<MeteredAnswer, string> _told;
    private string _result = "cancelled";
    private int _ended;

    private readonly PendingAnswer _answer;

    public MeteredAnswer(Caller caller, PendingAnswer answer, Receipt receipt, RateLimits limits, IQuotaGovernor governor, Guid reservation, RunningAnswers running,
        Action<MeteredAnswer, string> ended)
    {
        _told = ended;
        Caller = caller;
        _answer = answer;
        Receipt = receipt;
        Limits = limits;
        _governor = governor;
        _reservation = reservation;
        _running = running;
        running.Add(this);
    }

    /// <summary>Names it to administrators.</summary>
    public Guid Id => _reservation;

    /// <summary>Stamp of its admission.</summary>
    public long Began { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    public Caller Caller { get; }

    public AnswerMeter Meter => _answer.Meter;

    public Receipt Receipt { get; }

    /// <summary>What the caller had left when it was admitted.</summary>
    public RateLimits Limits { get; }

    /// <summary>Ends it, because the tenant, key or model is suspended or an administrator wants so.</summary>
    public void Suspend() => _suspended.Cancel();

    /// <summary>Makes the answer. Throws <see cref="ApiException"/> when it fails or is suspended.</summary>
    public async IAsyncEnumerable<NumberedEvent> RunAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _suspended.Token);
        await using IAsyncEnumerator<byte[]> events = _answer.Run(stop.Token).GetAsyncEnumerator(CancellationToken.None);
        long before = 0;
        for (long number = 1; await NextAsync(events, cancellation); number++)
        {
            long tokens = Meter.HandedOut;
            yield return new NumberedEvent(number, events.Current, before, tokens);
            before = tokens;
        }
    }

    private async ValueTask<bool> NextAsync(IAsyncEnumerator<byte[]> events, CancellationToken cancellation)
    {
        try
        {
            bool any = await events.MoveNextAsync();
            _result = any ? _result : "completed";
            return any;
        }
        catch (ApiException e)
        {
            _result = e.Error.Code == ApiError.OverloadedCode ? "refused" : "failed";
            throw;
        }
        catch (OperationCanceledException) when (_suspended.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            _result = "suspended";
            throw (_running.ErrorOf(this) ?? ApiError.GenerationCancelled()).AsException();
        }
    }

    /// <summary>No more is computed: gives back what was not used. The receipt stays open for what is still to be sent.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _running.Remove(this);
            _governor.Settle(_reservation, Meter.Cost.PromptTokens, Meter.Generated);
            _told(this, _result);
        }
    }
}
