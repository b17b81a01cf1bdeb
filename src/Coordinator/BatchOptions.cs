namespace Lamina.Coordinator;

/// <summary>Bounds of <c>/v1/files</c> and <c>/v1/batches</c>, each per tenant.</summary>
public sealed record BatchOptions
{
    /// <summary>Requests of batches that are computed at the same time, whatever the number of batches.</summary>
    public int InFlight { get; init; } = 8;

    /// <summary>Requests of one batch.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>Batches that have not ended; further ones are refused until one has.</summary>
    public int MaxOpen { get; init; } = 64;

    /// <summary>The largest file that may be uploaded.</summary>
    public long MaxFileBytes { get; init; } = 200L << 20;

    /// <summary>Room for all files, answers included.</summary>
    public long BytesPerTenant { get; init; } = 8L << 30;

    /// <summary>Files of a tenant; further ones are refused.</summary>
    public int MaxFiles { get; init; } = 10_000;

    /// <summary>Days that files are kept whose maker does not say, and ended batches.</summary>
    public int RetentionDays { get; init; } = 30;
}
