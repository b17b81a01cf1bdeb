using System.Collections.Concurrent;
using System.Security.Cryptography;
using Lamina.Coordinator.Api.OpenResponses;
using Lamina.Coordinator.Quotas;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>One tenant's kept generations, found by id or by the caller's own key. Whoever did not start a generation does not find it.</summary>
internal sealed class TenantGenerations
{
    /// <summary>Answers that are kept at a time, under way or not: each holds a row of the ledger open until it is read.</summary>
    public const int MostAnswers = 2048;

    private readonly ResumptionOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly JournalBudget _budget;
    private readonly int _mostAnswers;
    private readonly ConcurrentDictionary<string, RetainedGeneration> _byId = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<CallerKey, Slot> _byKey = new();

    public TenantGenerations(ResumptionOptions options, TimeProvider time, ILogger logger, int mostAnswers = MostAnswers)
    {
        _mostAnswers = mostAnswers;
        _options = options;
        _time = time;
        _logger = logger;
        _budget = new JournalBudget(options.BytesPerTenant, () => EvictOldest() || Responses!.EvictOldest());
        Responses = new StoredResponses(_budget, TimeSpan.FromSeconds(options.RetentionSeconds), time);
    }

    private readonly record struct CallerKey(string? Caller, string Key);

    private sealed record Slot(byte[] RequestHash, Lazy<RetainedGeneration> Generation);

    public StoredResponses Responses { get; }

    /// <summary>The tenant's answers at other coordinators; null where there can be none.</summary>
    public GenerationMirror? Mirror { get; set; }

    public long RetainedBytes => _budget.Used + (Mirror?.Others.Bytes ?? 0);

    /// <summary>The generation that this caller started with this key, or a new one.</summary>
    /// <param name="requestHash">Tells a repeated request from another one under the same key, which is refused.</param>
    /// <param name="begin">Checks the request; what it throws starts nothing.</param>
    /// <param name="admit">Reserves what the answer may cost; what it throws ends the generation as refused.</param>
    /// <param name="request">What another coordinator would go on from; null when none is to.</param>
    public RetainedGeneration Join(
        Caller caller, string key, byte[] requestHash, Func<PendingAnswer> begin, Func<PendingAnswer, CancellationToken, Task<MeteredAnswer>> admit, KeptRequest? request = null)
    {
        Sweep();
        var callerKey = new CallerKey(caller.Key, key);
        Slot slot = _byKey.GetOrAdd(callerKey, _ => new Slot(requestHash, new Lazy<RetainedGeneration>(() => Start(key, caller, begin(), admit, request))));
        if (!CryptographicOperations.FixedTimeEquals(slot.RequestHash, requestHash))
        {
            throw ApiError.IdempotencyKeyReused().AsException();
        }

        try
        {
            return slot.Generation.Value;
        }
        catch
        {
            _byKey.TryRemove(KeyValuePair.Create(callerKey, slot));
            throw;
        }
    }

    public RetainedGeneration Find(Caller caller, string id) => TryFind(caller, id) ?? throw ApiError.GenerationNotFound().AsException();

    /// <summary>Null when it is not made here.</summary>
    public RetainedGeneration? TryFind(Caller caller, string id)
    {
        Sweep();
        return _byId.TryGetValue(id, out RetainedGeneration? generation) && generation.Owner == caller ? generation : null;
    }

    /// <summary>For another coordinator, which has checked its caller: null when that key started no such generation here.</summary>
    public RetainedGeneration? FindOf(string? key, string id) => _byId.TryGetValue(id, out RetainedGeneration? generation) && generation.Owner.Key == key ? generation : null;

    /// <summary>Whether this caller's key was used here.</summary>
    public bool Knows(Caller caller, string key) => _byKey.ContainsKey(new CallerKey(caller.Key, key));

    /// <summary>Another coordinator makes it from now on.</summary>
    public void GiveWay(RetainedGeneration generation)
    {
        generation.GiveWay();
        Remove(generation);
    }

    public void Remove(RetainedGeneration generation)
    {
        if (_byId.TryRemove(KeyValuePair.Create(generation.Id, generation)))
        {
            // Removed once only, so the key cannot have gone to another generation meanwhile.
            _byKey.TryRemove(new CallerKey(generation.Owner.Key, generation.Key), out _);
            Mirror?.Release(generation);
            generation.Release();
            _budget.Return(generation.Request?.Body.Length ?? 0);
        }
    }

    /// <summary>Drops what was kept long enough.</summary>
    public void Sweep()
    {
        foreach (RetainedGeneration generation in _byId.Values.Where(generation => generation.EndedFor >= TimeSpan.FromSeconds(_options.RetentionSeconds)))
        {
            Remove(generation);
        }

        Responses.Sweep();
    }

    /// <summary>Ends and forgets what a key started.</summary>
    public void CancelOf(string key)
    {
        foreach (RetainedGeneration generation in _byId.Values.Where(generation => generation.Owner.Key == key))
        {
            Remove(generation);
        }

        Mirror?.Others.DropOf(key);
        Responses.RemoveWhere(stored => stored.Owner.Key == key);
    }

    public void CancelAll()
    {
        foreach (RetainedGeneration generation in _byId.Values)
        {
            Remove(generation);
        }
    }

    private RetainedGeneration Start(string key, Caller caller, PendingAnswer answer, Func<PendingAnswer, CancellationToken, Task<MeteredAnswer>> admit, KeptRequest? request)
    {
        while (_byId.Count >= _mostAnswers)
        {
            if (!EvictOldest(unread: true))
            {
                throw ApiError.Overloaded("too many of your answers are under way; try again later").AsException();
            }
        }

        int body = request?.Body.Length ?? 0;
        if (!_budget.TryTake(body, always: body <= BodyBudget.Uncounted))
        {
            throw ApiError.Overloaded("your kept answers take all the memory that they may; try again later").AsException();
        }

        var generation = new RetainedGeneration(
            caller, key, answer, admit, _budget, _options.ReadAheadEvents, TimeSpan.FromSeconds(_options.GraceSeconds), _time, _logger, OnEnded, request,
            Mirror is { } mirror && request is not null ? mirror.KeepAsync : null);
        _byId[answer.Id] = generation;
        if (generation.EndedFor is not null)
        {
            OnEnded(generation);
        }

        return generation;
    }

    /// <summary>A refusal such as "try again later" is not kept, nor is what nobody came back for: a repeated request starts anew.</summary>
    private void OnEnded(RetainedGeneration generation)
    {
        if (generation.IsRefusal || generation.IsCancelled)
        {
            Remove(generation);
        }
    }

    /// <param name="unread">Only one that nobody reads at the moment: what is read holds its row of the ledger until it was.</param>
    private bool EvictOldest(bool unread = false)
    {
        RetainedGeneration? oldest = _byId.Values.Where(generation => generation.EndedFor is not null && !(unread && generation.IsRead)).MaxBy(generation => generation.EndedFor);
        if (oldest is not null)
        {
            Remove(oldest);
        }

        return oldest is not null;
    }
}
