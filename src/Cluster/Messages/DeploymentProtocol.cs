using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>
/// Between the coordinators of a cell: each keeps every deployment alive by saying that it wants it, and the one coordinator where the deployment's plan is owned shows all
/// of them what it has come to. What is shown is enough to own the plan after its owner's death.
/// </summary>
public static class DeploymentProtocol
{
    /// <summary>
    /// To the deployment's owner, wherever that is, every second: it is wanted, and this is what the sender has. Answered by <see cref="DeploymentShown"/>.
    /// </summary>
    /// <param name="Model">Null while the sender has not got the model.</param>
    /// <param name="ImportedBytes">How far the sender's import is.</param>
    /// <param name="Problem">Why the sender cannot import it, or null.</param>
    /// <param name="Refused">Whether that is its policy, and not a failure.</param>
    [MessagePackObject]
    public sealed record KeepDeployment(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] DeploymentId Deployment,
        [property: Key(2)] DeploymentSettings Settings,
        [property: Key(3)] ModelOffer? Model,
        [property: Key(4)] long ImportedBytes,
        [property: Key(5)] long ImportBytes,
        [property: Key(6)] string? Problem,
        [property: Key(7)] DeploymentShown? Known,
        [property: Key(8)] bool Refused = false) : IWireMessage;

    /// <summary>The deployment as its owner sees it, to every coordinator: after each change, and every second.</summary>
    /// <param name="Version">Rises with each; a lower one is late and means nothing.</param>
    /// <param name="Sources">Where the model's blobs are served.</param>
    /// <param name="Owner">The sending coordinator's name.</param>
    /// <param name="Refused">Whether the policy of the coordinators is what keeps the model from being served.</param>
    /// <param name="ToReplace">Epochs that an operator wants replaced and that still serve: whoever owns the plan next goes on with them.</param>
    /// <param name="Next">The model that a roll changes to, so that each coordinator has what serving callers needs of it before it serves; null = none.</param>
    /// <param name="Heard">The operators' asks that were taken last, by their numbers: nobody needs to send them again.</param>
    [MessagePackObject]
    public sealed record DeploymentShown(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] DeploymentId Deployment,
        [property: Key(2)] DeploymentSettings Settings,
        [property: Key(3)] long Version,
        [property: Key(4)] ModelOffer? Model,
        [property: Key(5)] IReadOnlyList<Endpoint> Sources,
        [property: Key(6)] int LastEpoch,
        [property: Key(7)] bool WasReady,
        [property: Key(8)] bool GaveUp,
        [property: Key(9)] string? Problem,
        [property: Key(10)] long ImportedBytes,
        [property: Key(11)] long ImportBytes,
        [property: Key(12)] IReadOnlyList<EpochShown> Epochs,
        [property: Key(13)] string Owner,
        [property: Key(14)] bool Refused = false,
        [property: Key(15)] IReadOnlyList<int>? ToReplace = null,
        [property: Key(16)] IReadOnlyList<long>? Heard = null,
        [property: Key(17)] ModelOffer? Next = null) : IWireMessage;

    /// <summary>To the owner: the sender has no generations left on an epoch that was replaced.</summary>
    [MessagePackObject]
    public sealed record EpochDrained(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] DeploymentId Deployment,
        [property: Key(2)] int Epoch) : IWireMessage;

    /// <summary>
    /// To the owner: an operator wants the deployment's pipelines planned anew with the nodes that are up, each built beside the one that serves. Sent again until the owner shows
    /// that it was heard: an owner that dies takes nothing with it.
    /// </summary>
    /// <param name="Roll">Those also whose plan comes out as it was.</param>
    /// <param name="Ask">Its number, drawn by chance.</param>
    /// <param name="Model">What the sender's file holds now, where that is another model than the one that serves; the pipelines are to be of it.</param>
    [MessagePackObject]
    public sealed record ReplanDeployment(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] DeploymentId Deployment,
        [property: Key(2)] bool Roll,
        [property: Key(3)] long Ask,
        [property: Key(4)] ModelOffer? Model = null) : IWireMessage;
}

/// <summary>What an operator wants of a deployment, apart from its file.</summary>
/// <param name="Stages">Explicit layer ranges, or null.</param>
[MessagePackObject]
public sealed record DeploymentSettings(
    [property: Key(0)] int Nodes,
    [property: Key(1)] string? Stages,
    [property: Key(2)] int ContextLength,
    [property: Key(3)] int Threads,
    [property: Key(4)] int DraftTokens,
    [property: Key(5)] string KvCacheType,
    [property: Key(6)] int[] EmbeddingDimensions,
    [property: Key(7)] int Pipelines,
    [property: Key(8)] int Spares);

/// <summary>A model that a coordinator holds.</summary>
/// <param name="Digest">Of the manifest.</param>
/// <param name="MetadataDigest">Of the file's metadata, tokenizer and chat template included: what a coordinator needs to serve callers without the file.</param>
/// <param name="DraftDigest">The model that guesses for it; null = none.</param>
/// <param name="DraftBytes">What the head holds of that.</param>
[MessagePackObject]
public sealed record ModelOffer([property: Key(0)] string Digest, [property: Key(1)] string MetadataDigest, [property: Key(2)] Endpoint Blobs, [property: Key(3)] string? DraftDigest, [property: Key(4)] long DraftBytes,
    [property: Key(5)] IReadOnlyList<AdapterOffer>? Adapters = null, [property: Key(6)] OfferedEvidence? Evidence = null);

/// <summary>An adapter that a coordinator holds beside a model.</summary>
/// <param name="Keys">Ids of the API keys that may use it; empty = all of the tenant's.</param>
[MessagePackObject]
public sealed record AdapterOffer(
    [property: Key(0)] string Name, [property: Key(1)] string Digest, [property: Key(2)] string[] Keys, [property: Key(3)] OfferedEvidence? Evidence = null);

/// <summary>What spoke for a model where it was imported. Signatures prove themselves to whoever trusts their key; the hash is the word of a coordinator of the same cell.</summary>
/// <param name="Sha256">64 hexadecimal digits that an operator named and the model had: of its one file, or of its digest; null when none was named.</param>
[MessagePackObject]
public sealed record OfferedEvidence([property: Key(0)] string? Sha256, [property: Key(1)] IReadOnlyList<OfferedSignature> Signatures);

/// <summary>A signature over a model's digest, as the file beside a model holds it.</summary>
[MessagePackObject]
public sealed record OfferedSignature([property: Key(0)] string Algorithm, [property: Key(1)] string KeyId, [property: Key(2)] string Value);

public enum EpochRole { Building = 0, Serving = 1, Retiring = 2 }

/// <param name="Phase">How far a building epoch is: loading, connecting, opening, serving.</param>
/// <param name="Digest">Of the model that its stages hold.</param>
[MessagePackObject]
public sealed record EpochShown(
    [property: Key(0)] int Epoch,
    [property: Key(1)] EpochRole Role,
    [property: Key(2)] int Phase,
    [property: Key(3)] int KvBlocks,
    [property: Key(4)] int MaxSequences,
    [property: Key(5)] IReadOnlyList<StageShown> Stages,
    [property: Key(6)] string? Digest = null);

[MessagePackObject]
public sealed record StageShown(
    [property: Key(0)] int Pipeline,
    [property: Key(1)] int Stage,
    [property: Key(2)] NodeName Node,
    [property: Key(3)] Endpoint Link,
    [property: Key(4)] int ProcessId,
    [property: Key(5)] int FirstLayer,
    [property: Key(6)] int EndLayer,
    [property: Key(7)] long WeightBytes,
    [property: Key(8)] StagePhase Phase,
    [property: Key(9)] long DoneBytes,
    [property: Key(10)] long TotalBytes,
    [property: Key(11)] long MemoryBytes);
