using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model;

internal enum NormKind
{
    Rms,
    Layer,

    /// <summary>A layer norm without weights.</summary>
    PlainLayer,
}

/// <summary>Norms of queries and keys before they rotate.</summary>
internal enum HeadNorm
{
    None,

    /// <summary>Each head by itself, one weight [head length] for all.</summary>
    PerHead,

    /// <summary>Each head by itself with a weight of its own: [head length × heads].</summary>
    OwnWeights,

    /// <summary>All heads together: [head length × heads] as one row.</summary>
    WholeRow,
}

/// <summary>How attention and feed-forward of a layer join the residual stream.</summary>
internal enum ResidualForm
{
    /// <summary>x += attention(norm(x)); x += feedForward(norm(x)).</summary>
    Sequential,

    /// <summary>x += attention(norm(x)) + feedForward(norm(x)), from the same norm, or from two.</summary>
    Parallel,

    /// <summary>x += attention(norm(x)) + feedForward(otherNorm(x)), each with the norm that carries its name.</summary>
    ParallelOwnNorms,

    /// <summary>Parallel when the file holds no <c>ffn_norm</c>, else sequential.</summary>
    ParallelWithoutFeedForwardNorm,
}

/// <summary>One layer's dimensions and variations.</summary>
internal sealed record LayerShape
{
    public required AttentionShape Attention { get; init; }
    public required FeedForwardShape FeedForward { get; init; }
    public ResidualForm Residual { get; init; }

    /// <summary>Norm before attention and before the feed-forward block.</summary>
    public bool NormBefore { get; init; } = true;

    /// <summary>Norm of the residual stream after attention and after the feed-forward block have joined it, as encoders have it.</summary>
    public bool NormStream { get; init; }

    /// <summary>Tensor of the norm before the feed-forward block.</summary>
    public string FeedForwardNorm { get; init; } = "ffn_norm";

    /// <summary>Norm of what attention and the feed-forward block give, before it joins the residual stream.</summary>
    public bool NormAfter { get; init; }
}

internal sealed record AttentionShape
{
    public required int Heads { get; init; }
    public required int KvHeads { get; init; }

    /// <summary>Length of a query's or key's head.</summary>
    public required int KeyLength { get; init; }
    public required int ValueLength { get; init; }

    /// <summary>Factor on q·k.</summary>
    public required float Scale { get; init; }

    /// <summary>Scores become cap × tanh(score / cap); 0 = off.</summary>
    public float SoftCap { get; init; }

    public WindowKind WindowKind { get; init; }
    public int Window { get; init; }
    public HeadNorm HeadNorm { get; init; }

    /// <summary>Heads are normed after they rotated.</summary>
    public bool HeadNormAfterRope { get; init; }

    /// <summary>The file may leave the head norms out.</summary>
    public bool HeadNormOptional { get; init; }

    /// <summary>Queries, keys and values are bounded to ± this; 0 = off.</summary>
    public float Clamp { get; init; }

    public bool Sinks { get; init; }

    /// <summary>Scores fall by a slope of each head times the distance, from 2^(-bias/heads) on (arXiv 2108.12409); 0 = off.</summary>
    public float AlibiBias { get; init; }

    /// <summary>Queries grow with the logarithm of their position beyond the trained context; null = off.</summary>
    public QueryGrowth? Growth { get; init; }

    /// <summary>Null where positions do not rotate.</summary>
    public RopeShape? Rope { get; init; }

    /// <summary>Null unless keys and values come from a latent row.</summary>
    public LatentShape? Latent { get; init; }

    public int QueryWidth => Heads * KeyLength;
    public int KeyWidth => KvHeads * KeyLength;
    public int ValueWidth => KvHeads * ValueLength;

    /// <summary>Width of what the output matrix takes.</summary>
    public int OutputWidth => Heads * (Latent?.ValueLength ?? ValueLength);
}

/// <summary>Queries at position p are multiplied by 1 + <paramref name="Scale"/> ln(1 + floor((p + <paramref name="Offset"/>) / <paramref name="Span"/>)).</summary>
internal sealed record QueryGrowth(float Scale, int Span, float Offset = 0)
{
    public float At(int position) => 1 + (Scale * MathF.Log(MathF.Floor((position + Offset) / Span) + 1));
}

/// <summary>
/// Multi-head latent attention (arXiv 2405.04434): keys and values come from one compressed row. Absorbed, the cache holds that row and one rotated
/// key part for all heads, and the decompression moves into queries and output; otherwise every head's keys and values are cached.
/// </summary>
/// <param name="QueryRank">Width of the compressed query, or 0 when queries are made directly.</param>
/// <param name="KvRank">Width of the compressed row.</param>
/// <param name="RopeLength">Dimensions of a head that carry positions; they stand last.</param>
/// <param name="PlainLength">A head's other dimensions.</param>
/// <param name="ValueLength">A head's value dimensions after decompression.</param>
internal sealed record LatentShape(bool Absorbed, int QueryRank, int KvRank, int RopeLength, int PlainLength, int ValueLength)
{
    /// <summary>Length of a query's head before absorption.</summary>
    public int QueryLength => PlainLength + RopeLength;
}

internal sealed record FeedForwardShape
{
    /// <summary>Inner width; of one expert where there are experts.</summary>
    public required int Length { get; init; }
    public required Activation Activation { get; init; }
    public bool Gated { get; init; } = true;

    /// <summary>Gate and up stand in one tensor <c>ffn_up</c>, the gate first.</summary>
    public bool GateInUp { get; init; }

    public ExpertShape? Experts { get; init; }
}

internal enum RouterKind
{
    Softmax,
    Sigmoid,

    /// <summary>Softmax over the chosen experts only.</summary>
    SoftmaxOfChosen,
}

internal sealed record ExpertShape
{
    public required int Count { get; init; }
    public required int Used { get; init; }
    public RouterKind Router { get; init; }

    /// <summary>Weights of the chosen experts are divided by their sum.</summary>
    public bool Normalise { get; init; }

    public float WeightScale { get; init; } = 1;

    /// <summary>Experts are chosen from the best of these groups only; 1 = no groups.</summary>
    public int Groups { get; init; } = 1;
    public int GroupsUsed { get; init; } = 1;

    /// <summary>Inner width of the shared expert, 0 = none.</summary>
    public int SharedLength { get; init; }

    /// <summary>The shared expert's result is multiplied by the sigmoid of a gate.</summary>
    public bool SharedGate { get; init; }
}
