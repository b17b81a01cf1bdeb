using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model;

/// <summary>A stage's buffers for one batch; every field states its dimensions. Allocated once, zeroed when disposed.</summary>
internal sealed unsafe class State : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly int _vocabulary;
    private NativeBuffer? _logits;
    private int _logitRows;

    public State(ModelShape shape, LayerRange layers, StageOptions options, WorkerTeam team, KvCache cache)
    {
        int rows = options.MaxBatchRows, embedding = shape.EmbeddingLength;
        LayerShape[] held = [.. shape.Layers.Skip(layers.First).Take(layers.Count)];
        _vocabulary = shape.VocabularySize;
        try
        {
            Hidden = Buffer(rows, embedding);
            Normed = Buffer(rows, embedding);
            NormedToo = Buffer(held.Any(layer => layer.Residual == ResidualForm.Parallel) ? rows : 1, embedding);
            Branch = Buffer(rows, embedding);
            BranchToo = Buffer(rows, embedding);
            QueryKeyValue = Buffer(rows, held.Max(layer => layer.Attention.QueryWidth + layer.Attention.KeyWidth + layer.Attention.ValueWidth));
            Attended = Buffer(rows, held.Max(layer => Math.Max(layer.Attention.Heads * layer.Attention.ValueLength, layer.Attention.OutputWidth)));
            GateUp = Buffer(rows, held.Max(layer => 2 * Math.Max(layer.FeedForward.Experts is null ? layer.FeedForward.Length : 0, layer.FeedForward.Experts?.SharedLength ?? 0)));
            Positions = (int*)Own(new NativeBuffer((long)rows * sizeof(int))).Pointer;
            LastPositions = (int*)Own(new NativeBuffer((long)rows * sizeof(int))).Pointer;
            Blocks = (int*)Own(new NativeBuffer((long)rows * sizeof(int))).Pointer;
            Inputs = Own(new ActivationRows(rows, held.Max(MaxColumns)));
            Attention = Own(new AttentionWorkspace(team.Workers, rows, held.Max(layer => layer.Attention.ValueLength), slot => (nint)cache.Table(slot)));
            LatentShape[] latents = [.. held.Select(layer => layer.Attention.Latent).OfType<LatentShape>()];
            if (latents.Length > 0)
            {
                int heads = held.Max(layer => layer.Attention.Heads);
                LatentQuery = Buffer(rows, Math.Max(1, latents.Max(latent => latent.QueryRank)));
                LatentQueries = Buffer(rows, heads * latents.Max(latent => latent.QueryLength));
                LatentKeyValue = Buffer(rows, latents.Max(latent => latent.KvRank + latent.RopeLength));
                Decompressed = Buffer(rows, heads * latents.Max(latent => latent.PlainLength + latent.ValueLength));
            }

            if (held.Any(layer => layer.FeedForward.Experts is not null))
            {
                Experts = Own(new ExpertState(held, rows, embedding));
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        int MaxColumns(LayerShape layer) => new[]
        {
            embedding,
            layer.Attention.Heads * layer.Attention.ValueLength,
            layer.Attention.OutputWidth,
            layer.Attention.Latent?.QueryRank ?? 0,
            layer.Attention.Latent?.KvRank ?? 0,
            layer.FeedForward.Length,
            layer.FeedForward.Experts?.SharedLength ?? 0,
        }.Max();
    }

    /// <summary>The residual stream, [rows × embedding].</summary>
    public Rows Hidden { get; }

    /// <summary>Input of attention and feed-forward, [rows × embedding].</summary>
    public Rows Normed { get; }

    /// <summary>The feed-forward block's input in a parallel layer with two norms, [rows × embedding].</summary>
    public Rows NormedToo { get; }

    /// <summary>What attention gives, [rows × embedding].</summary>
    public Rows Branch { get; }

    /// <summary>What the feed-forward block gives, [rows × embedding].</summary>
    public Rows BranchToo { get; }

    /// <summary>[rows × (query + key + value width)].</summary>
    public Rows QueryKeyValue { get; }

    /// <summary>[rows × (heads × value length)].</summary>
    public Rows Attended { get; }

    /// <summary>Compressed queries, [rows × query rank]; this and the next three only where keys and values come from a compressed row.</summary>
    public Rows LatentQuery { get; }

    /// <summary>[rows × (heads × query length)].</summary>
    public Rows LatentQueries { get; }

    /// <summary>The compressed row and the rotated key part, [rows × (rank + rope length)].</summary>
    public Rows LatentKeyValue { get; }

    /// <summary>[rows × (heads × (plain length + value length))].</summary>
    public Rows Decompressed { get; }

    /// <summary>[rows × 2 inner width].</summary>
    public Rows GateUp { get; }

    /// <summary>[rows].</summary>
    public int* Positions { get; }

    /// <summary>[rows]: the last position of the row's sequence in the batch.</summary>
    public int* LastPositions { get; }

    /// <summary>[rows]: the cache block of each row's position.</summary>
    public int* Blocks { get; }

    /// <summary>Input of the current multiplication with its quantised forms.</summary>
    public ActivationRows Inputs { get; }

    public AttentionWorkspace Attention { get; }

    public ExpertState? Experts { get; }

    /// <summary>[logit rows × vocabulary].</summary>
    public Rows Logits => new((float*)_logits!.Pointer, _vocabulary);

    /// <summary>Makes room for logits; grows only past the largest number of rows that asked so far.</summary>
    public void EnsureLogits(int rows)
    {
        if (rows > _logitRows)
        {
            _logits?.Dispose();
            _logits = null;
            _logits = new NativeBuffer((long)rows * _vocabulary * sizeof(float));
            _logitRows = rows;
        }
    }

    /// <summary>Bytes of the buffers that a batch of the options' size takes.</summary>
    public long Bytes { get; private set; }

    public Rows Buffer(long rows, int columns)
    {
        // Rows start on cache lines.
        long stride = (columns + 15L) / 16 * 16;
        var buffer = Own(new NativeBuffer(rows * stride * sizeof(float)));
        Bytes += buffer.Bytes;
        return new Rows((float*)buffer.Pointer, stride);
    }

    public void Dispose()
    {
        _owned.ForEach(memory => memory.Dispose());
        _logits?.Dispose();
    }

    private TMemory Own<TMemory>(TMemory memory)
        where TMemory : IDisposable
    {
        _owned.Add(memory);
        return memory;
    }
}

/// <summary>Rotation factors of the current batch for one kind of rotation, [rows × dimensions] each.</summary>
internal sealed record RopeTable(RopeAngles Angles, Rows Cosines, Rows Sines);
