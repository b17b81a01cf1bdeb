namespace Lamina.Coordinator.Quotas;

/// <summary>What a tenant or a key may use. Null = no limit.</summary>
public sealed record QuotaRules
{
    public static QuotaRules Unlimited { get; } = new();

    /// <summary>Requests and tokens of a minute and of a UTC day; null = no limit.</summary>
    public long? RequestsPerMinute { get; init; }
    public long? RequestsPerDay { get; init; }
    public long? PromptTokensPerMinute { get; init; }
    public long? PromptTokensPerDay { get; init; }
    public long? GeneratedTokensPerMinute { get; init; }
    public long? GeneratedTokensPerDay { get; init; }

    /// <summary>Generations that run at the same time; a request for n choices needs n.</summary>
    public int? ConcurrentGenerations { get; init; }

    /// <summary>Requests that may wait while <see cref="ConcurrentGenerations"/> or <see cref="KvBytes"/> are used up; null = as many as the server takes.</summary>
    public int? QueueLength { get; init; }

    /// <summary>Key/value cache that running generations may come to need, in bytes over all stages.</summary>
    public long? KvBytes { get; init; }

    /// <summary>Names of the models that may be used; null = all of the tenant's.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>Higher ones go first, whatever the weights; fair shares hold among equals. -100 to 100.</summary>
    public int? Priority { get; init; }

    /// <summary>Share of the pipeline's time beside others of the same priority, 1 to 1000; 1 when null. Only a key's counts: tenants do not share pipelines.</summary>
    public int? Weight { get; init; }

    /// <summary>
    /// False: what was computed of a key's prompts is found again by that key alone, so that no other key of the tenant can tell by the time to a first token what it asked; a tenant's
    /// rule holds for keys that have none. Null = the tenant's keys share.
    /// </summary>
    public bool? SharePrefixes { get; init; }

    public bool Allows(string model) => Models is null || Models.Contains(model, StringComparer.Ordinal);

    /// <summary>
    /// The limit that a request exceeds by itself, so that it never fits, with the limit and what the request needs of it; null when there is none. Not those per minute: a request larger
    /// than such a limit runs on a full budget, and what comes after it waits until it is made up for.
    /// </summary>
    internal (QuotaReason Reason, long Limit, long Needed)? Exceeded(RequestCost cost) =>
        cost.PromptTokens > PromptTokensPerDay ? (QuotaReason.PromptTokensPerDay, PromptTokensPerDay.Value, cost.PromptTokens)
        : cost.GeneratedTokens > GeneratedTokensPerDay ? (QuotaReason.GeneratedTokensPerDay, GeneratedTokensPerDay.Value, cost.GeneratedTokens)
        : cost.Generations > ConcurrentGenerations ? (QuotaReason.ConcurrentGenerations, ConcurrentGenerations.Value, cost.Generations)
        : cost.KvBytes > KvBytes ? (QuotaReason.KvBytes, KvBytes.Value, cost.KvBytes)
        : null;

    /// <summary>What is wrong with the rules, as "name is value, expected what"; null when they are sound.</summary>
    public string? Problem()
    {
        (string Name, long? Value, long Max)[] counts =
        [
            (nameof(RequestsPerMinute), RequestsPerMinute, MaxCount), (nameof(RequestsPerDay), RequestsPerDay, MaxCount),
            (nameof(PromptTokensPerMinute), PromptTokensPerMinute, MaxCount), (nameof(PromptTokensPerDay), PromptTokensPerDay, MaxCount),
            (nameof(GeneratedTokensPerMinute), GeneratedTokensPerMinute, MaxCount), (nameof(GeneratedTokensPerDay), GeneratedTokensPerDay, MaxCount),
            (nameof(ConcurrentGenerations), ConcurrentGenerations, 100_000), (nameof(QueueLength), QueueLength, 100_000), (nameof(KvBytes), KvBytes, 1L << 50),
        ];
        foreach ((string name, long? value, long max) in counts)
        {
            int min = name == nameof(QueueLength) ? 0 : 1;
            if (value < min || value > max)
            {
                return $"{name} is {value}, expected {min} to {max}";
            }
        }

        return Priority is < -100 or > 100 ? $"{nameof(Priority)} is {Priority}, expected -100 to 100"
            : Weight is < 1 or > 1000 ? $"{nameof(Weight)} is {Weight}, expected 1 to 1000"
            : Models is { Count: > 1000 } ? $"{nameof(Models)} names {Models.Count} models, expected at most 1000"
            : null;
    }

    /// <summary>The part of one of so many coordinators that must decide without the others; rounded up, so that none has nothing.</summary>
    internal QuotaRules DividedBy(int parts) => this with
    {
        RequestsPerMinute = Part(RequestsPerMinute, parts),
        RequestsPerDay = Part(RequestsPerDay, parts),
        PromptTokensPerMinute = Part(PromptTokensPerMinute, parts),
        PromptTokensPerDay = Part(PromptTokensPerDay, parts),
        GeneratedTokensPerMinute = Part(GeneratedTokensPerMinute, parts),
        GeneratedTokensPerDay = Part(GeneratedTokensPerDay, parts),
        ConcurrentGenerations = (int?)Part(ConcurrentGenerations, parts),
        QueueLength = (int?)Part(QueueLength, parts),
        KvBytes = Part(KvBytes, parts),
    };

    private static long? Part(long? value, int parts) => (value + parts - 1) / parts;

    private const long MaxCount = 1_000_000_000_000;
}

/// <summary>The rules of a tenant: for all of it together, and for each of its keys.</summary>
public sealed record TenantQuotas
{
    public static TenantQuotas Unlimited { get; } = new();

    // Instances of their own, here and below: a configuration is bound into what stands here.

    /// <summary>For all keys together.</summary>
    public QuotaRules Tenant { get; init; } = new();

    /// <summary>For each key that has no rules of its own.</summary>
    public QuotaRules EachKey { get; init; } = new();

    /// <summary>By the key's id.</summary>
    public IReadOnlyDictionary<string, QuotaRules> Keys { get; init; } = new Dictionary<string, QuotaRules>();

    /// <param name="key">Null for the local user of a loopback address.</param>
    public QuotaRules Of(string? key) => key is not null && Keys.TryGetValue(key, out QuotaRules? rules) ? rules : EachKey;
}
