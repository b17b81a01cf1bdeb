using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>
/// Between the coordinators of a cell: what each needs of the others' kept answers to go on with them when the other is gone. <see cref="CoordinatorShown"/> travels as a
/// control message, all else on links of purpose <c>Mirror</c> (from whoever makes an answer) and <c>Answers</c> (from whoever wants to read one).
/// </summary>
public static class MirrorProtocol
{
    /// <summary>To every other coordinator, every second: where the sender's links are dialled.</summary>
    [MessagePackObject]
    public sealed record CoordinatorShown([property: Key(0)] TenantId Tenant, [property: Key(1)] string Name, [property: Key(2)] Endpoint Links) : IWireMessage;

    /// <summary>
    /// The sender makes this answer. Answered by <see cref="AnswerKept"/>. Everything that follows from the request is computed from it again, so nothing else of the answer is sent.
    /// </summary>
    /// <param name="Term">Rises when another coordinator takes the answer over: of two that make it, the one with the lower term gives way.</param>
    /// <param name="Key">Id of the API key it was asked for with; null for the local user of a loopback address.</param>
    /// <param name="RepeatKey">The caller's <c>Idempotency-Key</c>.</param>
    /// <param name="Route">Path of the endpoint that it was asked of.</param>
    /// <param name="Usage">The row of the ledger that it is charged in, 32 hexadecimal digits.</param>
    /// <param name="Model">Digest of the model that makes it: no other may go on with it.</param>
    [MessagePackObject]
    public sealed record KeepAnswer(
        [property: Key(0)] string Id,
        [property: Key(1)] int Term,
        [property: Key(2)] string? Key,
        [property: Key(3)] string RepeatKey,
        [property: Key(4)] string Route,
        [property: Key(5)] byte[] Body,
        [property: Key(6)] string Usage,
        [property: Key(7)] bool Stream,
        [property: Key(8)] bool Typed,
        [property: Key(9)] ulong Seed,
        [property: Key(10)] string? User,
        [property: Key(11)] string? Model = null);

    /// <param name="Kept">False when there is no room for it, or a later term of it is known.</param>
    [MessagePackObject]
    public sealed record AnswerKept([property: Key(0)] string Id, [property: Key(1)] int Term, [property: Key(2)] bool Kept);

    /// <summary>Tokens that one of the answer's choices has emitted since the last report.</summary>
    /// <param name="First">Tokens of the choice before these.</param>
    [MessagePackObject]
    public sealed record AnswerProgress([property: Key(0)] string Id, [property: Key(1)] int Choice, [property: Key(2)] int First, [property: Key(3)] int[] Tokens);

    /// <summary>The answer is not kept any more.</summary>
    [MessagePackObject]
    public sealed record AnswerReleased([property: Key(0)] string Id);

    /// <summary>Asks for the events of an answer that the receiver makes: <see cref="AnswerEvent"/> each, then <see cref="AnswerOver"/>.</summary>
    [MessagePackObject]
    public sealed record ReadAnswer([property: Key(0)] string Id, [property: Key(1)] string? Key, [property: Key(2)] long After);

    [MessagePackObject]
    public sealed record AnswerEvent([property: Key(0)] long Number, [property: Key(1)] long TokensBefore, [property: Key(2)] long Tokens, [property: Key(3)] byte[] Json);

    /// <param name="Status">0 when the answer is whole; else the status of the error that it ended with.</param>
    [MessagePackObject]
    public sealed record AnswerOver([property: Key(0)] int Status, [property: Key(1)] string Type, [property: Key(2)] string Code, [property: Key(3)] string Message);

    /// <summary>Its caller wants the answer ended and forgotten.</summary>
    [MessagePackObject]
    public sealed record CancelAnswer([property: Key(0)] string Id, [property: Key(1)] string? Key);
}
