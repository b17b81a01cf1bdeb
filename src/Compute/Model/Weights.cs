using Lamina.Compute.Kernels;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Model;

/// <summary>A stage's weights.</summary>
internal sealed class Weights : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    /// <summary>[vocabulary × embedding]: of a first stage, and of a last one whose output matrix is tied to it.</summary>
    public Linear? Embedding { get; set; }

    /// <summary>[context × embedding], of a first stage with learned positions.</summary>
    public Linear? Positions { get; set; }

    /// <summary>[token types × embedding], of a first stage, or null.</summary>
    public Linear? TokenTypes { get; set; }

    /// <summary>Of a first stage, or null.</summary>
    public Norm? EmbeddingNorm { get; set; }

    /// <summary>Of a last stage.</summary>
    public Norm? OutputNorm { get; set; }

    /// <summary>[vocabulary × embedding], of a last stage; may be <see cref="Embedding"/>.</summary>
    public Linear? Output { get; set; }

    /// <summary>[layers of the stage].</summary>
    public List<LayerWeights> Layers { get; } = [];

    /// <summary>Divisors of the rotation frequencies, [pairs], or null.</summary>
    public float[]? RopeFactors { get; set; }

    /// <summary>Everything that multiplies.</summary>
    public List<Linear> Linears { get; } = [];

    /// <summary>What adapters add to embedding rows, of a first stage.</summary>
    public AdapterDeltas EmbeddingDeltas { get; } = new();

    public long Bytes { get; private set; }

    public void Own(IDisposable memory, long bytes)
    {
        _owned.Add(memory);
        Bytes += bytes;
    }

    public void Dispose() => _owned.ForEach(memory => memory.Dispose());
}

/// <summary>One layer's weights; what the shape does not have is null.</summary>
internal sealed class LayerWeights
{
    public Norm? AttentionNorm { get; set; }

    /// <summary>Queries, keys and values in one: [(query + key + value width) × embedding].</summary>
    public Linear? QueryKeyValue { get; set; }

    /// <summary>Instead of <see cref="QueryKeyValue"/> where keys and values come from a compressed row.</summary>
    public LatentWeights? Latent { get; set; }

    public Vector? QueryNorm { get; set; }
    public Vector? KeyNorm { get; set; }

    /// <summary>[heads].</summary>
    public Vector? Sinks { get; set; }

    /// <summary>[embedding × (heads × value length)].</summary>
    public required Linear AttentionOutput { get; init; }

    public Norm? PostAttentionNorm { get; set; }

    /// <summary>Before the feed-forward block; of a parallel layer the norm that attention has for itself.</summary>
    public Norm? FeedForwardNorm { get; set; }

    /// <summary>Null where the layer has experts only.</summary>
    public FeedForwardWeights? FeedForward { get; set; }

    public ExpertWeights? Experts { get; set; }
    public Norm? PostFeedForwardNorm { get; set; }

    /// <summary>Of the residual stream after attention, or null.</summary>
    public Norm? AttentionStreamNorm { get; set; }

    /// <summary>Of the residual stream after the feed-forward block, or null.</summary>
    public Norm? LayerStreamNorm { get; set; }
}

/// <param name="CompressQuery">[query rank × embedding], or null.</param>
/// <param name="QueryNorm">[query rank], or null.</param>
/// <param name="Query">[(heads × query length) × (query rank, or embedding)].</param>
/// <param name="CompressKeyValue">[(rank + rope length) × embedding].</param>
/// <param name="KeyValueNorm">[rank].</param>
/// <param name="AbsorbKey">Absorbed, for each head [rank × plain length].</param>
/// <param name="DecompressValue">Absorbed, for each head [value length × rank].</param>
/// <param name="DecompressKeyValue">Otherwise [(heads × (plain length + value length)) × rank].</param>
internal sealed record LatentWeights(
    Linear? CompressQuery, Vector? QueryNorm, Linear Query, Linear CompressKeyValue, Vector KeyValueNorm, Linear[] AbsorbKey, Linear[] DecompressValue, Linear? DecompressKeyValue);

/// <summary>A gated or plain block.</summary>
/// <param name="GateUp">[(gate and up, or up) × embedding].</param>
/// <param name="Down">[embedding × inner width].</param>
internal sealed record FeedForwardWeights(Linear GateUp, Linear Down, int Length);

/// <param name="Router">[experts × embedding].</param>
/// <param name="SelectionBias">[experts], added for the choice only, or null.</param>
/// <param name="GateUp">Of each expert [(gate and up, or up) × embedding].</param>
/// <param name="Down">Of each expert [embedding × inner width].</param>
/// <param name="SharedGate">[1 × embedding], or null.</param>
internal sealed record ExpertWeights(
    Linear Router, Vector? SelectionBias, ExpertLinear GateUp, ExpertLinear Down, FeedForwardWeights? Shared, Linear? SharedGate);
