using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model;

/// <summary>A stage's buffers for one batch; every field states its dimensions. Allocated once, zeroed when disposed.</summary>
internal sealed unsafe class State : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly IKernels _kernels;
    private readonly int _vocabulary;
    private IBuffer? _logits;
    private int _logitRows;

    public State(ModelShape shape, BufferSizes sizes, IKernels kernels)
    {
        _kernels = kernels;
        int rows = sizes.Rows, embedding = sizes.Embedding;
        _vocabulary = shape.VocabularySize;
        try
        {
            Hidden = Buffer(rows, embedding);
            Normed = Buffer(rows, embedding);
            NormedToo = Buffer(sizes.ParallelRows, embedding);
            Branch = Buffer(rows, embedding);
            BranchToo = Buffer(rows, embedding);
            QueryKeyValue = Buffer(rows, sizes.QueryKeyValue);
            Attended = Buffer(rows, sizes.Attended);
            GateUp = Buffer(rows, 2 * sizes.Dense);
            LatentQuery = Buffer(rows, sizes.LatentQuery);
            LatentQueries = Buffer(rows, sizes.LatentQueries);
            LatentKeyValue = Buffer(rows, sizes.LatentKeyValue);
            Decompressed = Buffer(rows, sizes.Decompressed);
            Placement = new Placement(rows, kernels, Own);
            if (sizes.Experts > 0)
            {
                Experts = new ExpertState(sizes, Buffer);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
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

    /// <summary>Where the rows of the current batch stand.</summary>
    public Placement Placement { get; }

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
            _logits = _kernels.Allocate((long)rows * _vocabulary * sizeof(float));
            _logitRows = rows;
        }
    }

    /// <summary>Bytes of the float buffers.</summary>
    public long Bytes { get; private set; }

    public Rows Buffer(long rows, int columns)
    {
        long stride = BufferSizes.Stride(columns);
        IBuffer buffer = Own(_kernels.Allocate(rows * stride * sizeof(float)));
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
