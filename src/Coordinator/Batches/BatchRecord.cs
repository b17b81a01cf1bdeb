namespace Lamina.Coordinator.Batches;

internal enum BatchStatus { Validating, Failed, InProgress, Finalizing, Completed, Expired, Cancelling, Cancelled }

/// <summary>Why a batch was refused as a whole.</summary>
/// <param name="Line">Of the input file, from 1; null when it is not about a line.</param>
internal sealed record BatchProblem(string Code, string Message, string? Param, int? Line);

/// <summary>Requests of a batch: those that have an answer in the output file, and those that have an error in the error file.</summary>
internal readonly record struct BatchCounts(int Total, int Completed, int Failed);

/// <summary>
/// A batch as it is kept: who asked, what for, and how far it is. Transitions are pure; each gives the record that is written before anything depends on it. Times
/// are Unix seconds.
/// </summary>
internal sealed record BatchRecord
{
    /// <summary>The only completion window there is, as OpenAI's.</summary>
    public const string Window = "24h";

    private const long WindowSeconds = 86400;

    public required string Id { get; init; }

    /// <summary>Tells batches of the same second apart, in the order in which they were made.</summary>
    public required long Sequence { get; init; }

    /// <summary>Name of the API key on whose behalf its requests run; null for the local user.</summary>
    public string? CallerKey { get; init; }

    public required string Endpoint { get; init; }
    public required string InputFileId { get; init; }

    /// <summary>The names its files will have, drawn at the beginning, so that finishing twice after a crash makes them once.</summary>
    public required string OutputName { get; init; }
    public required string ErrorName { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Seconds that its files are kept; null as long as the server's options say.</summary>
    public long? OutputExpiresAfter { get; init; }

    public BatchStatus Status { get; init; }
    public IReadOnlyList<BatchProblem> Problems { get; init; } = [];

    /// <summary>Counted from the files while it runs; kept here when it has ended.</summary>
    public BatchCounts Counts { get; init; }

    public string? OutputFileId { get; init; }
    public string? ErrorFileId { get; init; }

    public required long CreatedAt { get; init; }
    public long? InProgressAt { get; init; }
    public long? FinalizingAt { get; init; }
    public long? CompletedAt { get; init; }
    public long? FailedAt { get; init; }
    public long? ExpiredAt { get; init; }
    public long? CancellingAt { get; init; }
    public long? CancelledAt { get; init; }

    public long ExpiresAt => CreatedAt + WindowSeconds;

    public bool HasEnded => Status is BatchStatus.Failed or BatchStatus.Completed or BatchStatus.Expired or BatchStatus.Cancelled;

    public long? EndedAt => CompletedAt ?? FailedAt ?? ExpiredAt ?? CancelledAt;

    /// <summary>Its input cannot be used; what was answered before is kept.</summary>
    public BatchRecord Refuse(IReadOnlyList<BatchProblem> problems, long now) => Status switch
    {
        BatchStatus.Validating => this with { Status = BatchStatus.Failed, Problems = problems, FailedAt = now },
        BatchStatus.InProgress => this with { Status = BatchStatus.Finalizing, Problems = problems, FinalizingAt = now },
        _ => this,
    };

    public BatchRecord Begin(int total, long now) =>
        Status == BatchStatus.Validating ? this with { Status = BatchStatus.InProgress, Counts = new BatchCounts(total, 0, 0), InProgressAt = now } : this;

    /// <summary>Null when there is nothing left to cancel.</summary>
    public BatchRecord? Cancel(long now) => Status switch
    {
        BatchStatus.Validating or BatchStatus.InProgress => this with { Status = BatchStatus.Cancelling, CancellingAt = now },
        BatchStatus.Cancelling => this,
        _ => null,
    };

    /// <summary>
    /// Nothing is answered any more: all requests have an answer or an error, or the window is over and those that were left have their error, or it was cancelled.
    /// The counts are final, so that finishing may be repeated after a crash.
    /// </summary>
    public BatchRecord Finish(BatchCounts counts, bool expired, long now) => this with
    {
        Status = Status == BatchStatus.InProgress ? BatchStatus.Finalizing : Status,
        FinalizingAt = FinalizingAt ?? now,
        ExpiredAt = Status == BatchStatus.InProgress && expired ? now : ExpiredAt,
        Counts = counts,
    };

    /// <summary>Its files exist.</summary>
    public BatchRecord End(string? output, string? errors, long now)
    {
        BatchRecord ended = this with { OutputFileId = output, ErrorFileId = errors };
        return Status == BatchStatus.Cancelling ? ended with { Status = BatchStatus.Cancelled, CancelledAt = now }
            : Problems.Count > 0 ? ended with { Status = BatchStatus.Failed, FailedAt = now }
            : ExpiredAt is not null ? ended with { Status = BatchStatus.Expired }
            : ended with { Status = BatchStatus.Completed, CompletedAt = now };
    }
}
