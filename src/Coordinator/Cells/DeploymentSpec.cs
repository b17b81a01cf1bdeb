using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>What an operator wants of a deployment.</summary>
/// <param name="Nodes">Nodes that the first plan waits for, and stages it has unless <paramref name="Ranges"/> says otherwise.</param>
/// <param name="Threads">Threads per stage; 0 = the node's default.</param>
/// <param name="DraftTokens">Most tokens a sequence guesses ahead.</param>
/// <param name="KvType">How keys and values are kept.</param>
/// <param name="Pipelines">Most copies of the model that serve side by side, where nodes are left for them.</param>
/// <param name="Spares">Nodes that further copies leave free for failover.</param>
public sealed record DeploymentSpec(TenantId Tenant, DeploymentId Id, int Nodes, IReadOnlyList<LayerRange>? Ranges, int Threads, int DraftTokens = 0, GgmlType KvType = GgmlType.F16, int Pipelines = 1, int Spares = 0);

/// <summary>What planning and loading need to know of an imported model.</summary>
/// <param name="Sources">Where nodes pull its blobs.</param>
/// <param name="AdapterDigests">The adapters that every stage loads beside it.</param>
/// <param name="DraftDigest">The model that guesses for it; null = none.</param>
/// <param name="IsEncoder">It embeds texts, each of which must stand in one step.</param>
public sealed record ModelFacts(string Digest, ModelCost Cost, IReadOnlyList<Endpoint> Sources, bool IsEncoder = false, string? DraftDigest = null, IReadOnlyList<string>? AdapterDigests = null)
{
    public const int MaxBatchRows = 512;
    public const int PrefillChunk = 128;

    public StageSettings Settings(Plan plan, DeploymentSpec spec) =>
        new(Cost.ContextLength, plan.KvBlocks, plan.MaxSequences, IsEncoder ? Math.Max(MaxBatchRows, Cost.ContextLength) : MaxBatchRows, PrefillChunk, (int)spec.KvType, spec.Threads, spec.DraftTokens);
}
