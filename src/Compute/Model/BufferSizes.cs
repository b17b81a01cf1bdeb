namespace Lamina.Compute.Model;

/// <summary>Widths of a stage's buffers, the largest that any of its layers needs, and how many rows they have.</summary>
internal sealed record BufferSizes
{
    private BufferSizes(ModelShape shape, LayerRange layers, StageOptions options)
    {
        LayerShape[] held = [.. shape.Layers.Skip(layers.First).Take(layers.Count)];
        int Widest(Func<AttentionShape, int> width) => held.Max(layer => width(layer.Attention));
        int Latent(Func<LatentShape, int> width) => Widest(attention => attention.Latent is { } latent ? width(latent) : 0);
        int Inner(Func<FeedForwardShape, int> width) => held.Max(layer => width(layer.FeedForward));

        Rows = options.MaxBatchRows;
        Embedding = shape.EmbeddingLength;
        ParallelRows = held.Any(layer => layer.Residual is ResidualForm.Parallel or ResidualForm.ParallelOwnNorms) ? Rows : 1;
        QueryKeyValue = Widest(attention => attention.QueryWidth + attention.KeyWidth + attention.ValueWidth);
        Attended = Widest(attention => Math.Max(attention.Heads * attention.ValueLength, attention.OutputWidth));
        ValueLength = Widest(attention => attention.ValueLength);
        Dense = Inner(block => block.Experts?.SharedLength ?? block.Length);
        LatentQuery = Latent(latent => latent.QueryRank);
        LatentQueries = Widest(attention => attention.Heads * (attention.Latent?.QueryLength ?? 0));
        LatentKeyValue = Latent(latent => latent.KvRank + latent.RopeLength);
        Decompressed = Widest(attention => attention.Heads * ((attention.Latent?.PlainLength ?? 0) + (attention.Latent?.ValueLength ?? 0)));
        Experts = Inner(block => block.Experts?.Count ?? 0);
        Used = Inner(block => block.Experts?.Used ?? 0);
        ExpertLength = Inner(block => block.Experts is null ? 0 : block.Length);
        Ropes = [.. held.Select(layer => layer.Attention.Rope).OfType<RopeShape>().Distinct().Select(rope => rope.Dimensions)];
        Inputs = new[] { Embedding, Attended, Dense, LatentQuery, LatentKeyValue }.Max();
    }

    public int Rows { get; }
    public int Embedding { get; }

    /// <summary>Rows of the second normed input, 1 where no layer is parallel.</summary>
    public int ParallelRows { get; }
    public int QueryKeyValue { get; }
    public int Attended { get; }
    public int ValueLength { get; }

    /// <summary>Inner width of dense blocks and shared experts.</summary>
    public int Dense { get; }
    public int LatentQuery { get; }
    public int LatentQueries { get; }
    public int LatentKeyValue { get; }
    public int Decompressed { get; }

    /// <summary>0 where no layer has experts.</summary>
    public int Experts { get; }
    public int Used { get; }

    /// <summary>Inner width of one expert.</summary>
    public int ExpertLength { get; }

    /// <summary>Dimensions of each different rotation; two tables for each.</summary>
    public IReadOnlyList<int> Ropes { get; }

    /// <summary>Columns of the widest matrix, experts' aside.</summary>
    public int Inputs { get; }

    public static BufferSizes Of(ModelShape shape, LayerRange layers, StageOptions options) => new(shape, layers, options);

    /// <summary>Bytes of all float buffers together.</summary>
    public long Bytes
    {
        get
        {
            long rows = Rows, uses = rows * Used;
            return checked(Of(4 * rows, Embedding) + Of(ParallelRows, Embedding) + Of(rows, QueryKeyValue) + Of(rows, Attended) + Of(rows, 2 * Dense)
                + Of(rows, LatentQuery) + Of(rows, LatentQueries) + Of(rows, LatentKeyValue) + Of(rows, Decompressed)
                + Of(rows, Experts) + Of(uses, 2 * ExpertLength) + Of(uses, Embedding) + (Experts > 0 ? Of(rows, 1) : 0)
                + Ropes.Sum(dimensions => 2 * Of(rows, dimensions)));
        }
    }

    /// <summary>Floats from one row to the next: rows start on cache lines.</summary>
    public static long Stride(int columns) => (columns + 15L) / 16 * 16;

    private static long Of(long rows, int columns) => checked(rows * Stride(columns) * sizeof(float));
}
