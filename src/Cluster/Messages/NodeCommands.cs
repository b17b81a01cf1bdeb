using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>What a coordinator tells the actor <c>/user/node</c> of a node.</summary>
public static class NodeCommands
{
    /// <summary>Asks for <see cref="NodeEvents.NodeDescribed"/>; also subscribes the sender to the node's later events.</summary>
    /// <param name="Renews">The sender renews certificates, so that a node may ask it with <see cref="NodeEvents.RenewalRequested"/>.</param>
    [MessagePackObject]
    public sealed record DescribeNode([property: Key(0)] TenantId Tenant, [property: Key(1)] bool Renews = false) : IWireMessage;

    /// <summary>The answer to <see cref="NodeEvents.RenewalRequested"/>: the certificate, as PEM.</summary>
    [MessagePackObject]
    public sealed record RenewCertificate([property: Key(0)] TenantId Tenant, [property: Key(1)] string CertificatePem) : IWireMessage;

    /// <summary>
    /// Pull, verify and load a stage. Answered by <see cref="NodeEvents.StageProgress"/> while it lasts, then
    /// <see cref="NodeEvents.StageLoaded"/> or <see cref="NodeEvents.StageFailed"/>. Idempotent per address.
    /// </summary>
    /// <param name="Predecessor">
    /// The node before it in the ring, which alone may open a link for activations to it, or as the tail one for tokens to the head; null where there is but one stage.
    /// </param>
    /// <param name="AdapterDigests">Manifests of the adapters that every stage loads beside its weights; generations name them by their place here.</param>
    /// <param name="DraftDigest">Manifest of a small model that the head loads whole to guess ahead; null = none, and for every other stage.</param>
    [MessagePackObject]
    public sealed record LoadStage(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] int StageCount,
        [property: Key(3)] int FirstLayer,
        [property: Key(4)] int EndLayer,
        [property: Key(5)] string ModelDigest,
        [property: Key(6)] IReadOnlyList<Endpoint> Sources,
        [property: Key(7)] StageSettings Settings,
        [property: Key(8)] NodeName? Predecessor,
        [property: Key(9)] string? DraftDigest = null,
        [property: Key(10)] IReadOnlyList<string>? AdapterDigests = null) : IWireMessage;

    /// <summary>
    /// All stages are loaded: open the links. A stage dials its successor (<paramref name="Next"/>); the tail dials the head (<paramref name="Head"/>) to
    /// return tokens. Answered by <see cref="NodeEvents.StageReady"/> or <see cref="NodeEvents.StageFailed"/>.
    /// </summary>
    [MessagePackObject]
    public sealed record ConnectStage(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] Endpoint? Next,
        [property: Key(3)] NodeName? NextNode,
        [property: Key(4)] Endpoint? Head,
        [property: Key(5)] NodeName? HeadNode) : IWireMessage;

    /// <summary>Stop the stage, zero and free its memory. Always succeeds.</summary>
    [MessagePackObject]
    public sealed record UnloadStage([property: Key(0)] TenantId Tenant, [property: Key(1)] StageAddress Address) : IWireMessage;

    /// <summary>Take no new stages, wait until the present ones have been placed elsewhere, then leave the cell and end.</summary>
    [MessagePackObject]
    public sealed record DrainNode([property: Key(0)] TenantId Tenant) : IWireMessage;

    /// <summary>To a node that is leaving: its stages cannot be placed elsewhere, so that waiting brings nothing.</summary>
    [MessagePackObject]
    public sealed record LeaveNow([property: Key(0)] TenantId Tenant, [property: Key(1)] string Reason) : IWireMessage;
}

/// <summary>What all stages of a pipeline must agree on.</summary>
/// <param name="DraftTokens">Most tokens that a sequence guesses ahead, from its own text or by a draft model, and verifies in one step; 0 = one token at a time.</param>
[MessagePackObject]
public sealed record StageSettings(
    [property: Key(0)] int ContextLength,
    [property: Key(1)] int KvBlocks,
    [property: Key(2)] int MaxSequences,
    [property: Key(3)] int MaxBatchRows,
    [property: Key(4)] int PrefillChunk,
    [property: Key(5)] int KvType,
    [property: Key(6)] int Threads,
    [property: Key(7)] int DraftTokens = 0)
{
    /// <summary>Contexts that a draft model's cache holds for all sequences together.</summary>
    public const int DraftContexts = 2;
}
