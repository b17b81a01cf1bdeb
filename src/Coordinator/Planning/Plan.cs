using Lamina.Cluster.Messages;
using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>Which node holds which layers.</summary>
public sealed record StagePlan(NodeName Node, LayerRange Layers, long WeightBytes);

/// <summary>One copy of the model, head first.</summary>
public sealed record PipelinePlan(IReadOnlyList<StagePlan> Stages);

/// <summary>All copies of the model, what their caches hold, and why it was planned so.</summary>
/// <param name="KvBlocks">Blocks in each stage of a pipeline: the head assigns them for all stages alike.</param>
/// <param name="MaxSequences">Sequences that may hold blocks at the same time.</param>
/// <param name="Explanation">Sentences for the operator.</param>
public sealed record Plan(IReadOnlyList<PipelinePlan> Pipelines, int KvBlocks, int MaxSequences, IReadOnlyList<string> Explanation);

/// <summary>A plan, or one sentence saying why there is none.</summary>
public readonly record struct PlanResult(Plan? Plan, string? Problem);

/// <summary>What is to be planned.</summary>
/// <param name="Stages">Stages of a pipeline; at most the number of layers.</param>
/// <param name="Ranges">Layers of each stage as the operator wants them, or null.</param>
/// <param name="Objective">What among the layouts that fit is best.</param>
public sealed record PlanRequest(ModelCost Model, IReadOnlyList<NodeCapacity> Nodes, int Stages, IReadOnlyList<LayerRange>? Ranges = null, PlanObjective Objective = PlanObjective.Throughput);

/// <summary>Throughput: the least busy slowest stage, then the least latency. Latency: a token's shortest way through all stages.</summary>
public enum PlanObjective { Throughput, Latency }
