using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>A checked request whose answer has not begun.</summary>
/// <param name="Id">The generation's id, as in every part of its answer.</param>
/// <param name="User">The caller's name for its end user.</param>
/// <param name="Run">Makes the answer: one JSON body, or the JSON of each event when it is streamed. Throws <see cref="ApiException"/> when it fails.</param>
internal sealed record PendingAnswer(string Id, bool Stream, ulong Seed, string? User, Func<CancellationToken, IAsyncEnumerable<byte[]>> Run)
{
    /// <summary>Whether each event names its type, as those of the Responses API do.</summary>
    public bool Typed { get; init; }

    /// <summary>To be called after <see cref="Run"/>, however it ended, where an answer is kept instead of sent: whether it is. Null where nobody asks.</summary>
    public Action<bool>? Settle { get; init; }

    /// <summary>What it may cost, and what it has cost so far.</summary>
    public required AnswerMeter Meter { get; init; }
}

/// <summary>An event of an answer, numbered from 1.</summary>
/// <param name="TokensBefore">Generated tokens in all events before it, over all choices.</param>
/// <param name="Tokens">The same with it.</param>
internal readonly record struct NumberedEvent(long Number, byte[] Json, long TokensBefore = 0, long Tokens = 0);
