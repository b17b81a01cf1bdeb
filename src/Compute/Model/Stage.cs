using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Model;

/// <summary>
/// A contiguous range of layers with its weights and cache, on one compute thread: the first layer brings the embedding, the last
/// the final norm and output matrix. Not thread-safe; owns native memory, zeroed on disposal.
/// </summary>
public sealed unsafe class Stage : IDisposable
{
    private readonly StageOptions _options;
    private readonly WorkerTeam _team;
    private readonly IKernels _kernels;
    private readonly Weights _weights;
    private readonly State _state;
    private readonly AdapterStep? _adapterStep;
    private readonly LayerStack _stack;

    private Stage(ITensorSource tensors, ModelShape shape, LayerRange layers, StageOptions options, Action<long, long>? progress)
    {
        Shape = shape;
        Layers = layers;
        _options = options;
        _team = new WorkerTeam(options.Threads, options.Variant);
        try
        {
            BufferSizes sizes = BufferSizes.Of(shape, layers, options);
            _kernels = options.Device.CreateKernels(_team);
            _weights = WeightLoader.Load(tensors, shape, layers, options.ContextLength, _team, _kernels, progress);
            Cache = new KvCache(shape, layers, options, _kernels);
            _state = new State(shape, sizes, _kernels);
            _kernels.Reserve(sizes, Cache);
            Adapters = new StageAdapters(shape, layers, _weights, _team, options.MaxSequences, supported: _kernels.SharesHostMemory);
            if (_kernels is CpuKernels cpu)
            {
                cpu.Adapters = _adapterStep = new AdapterStep(Adapters, cpu, Math.Max(sizes.Rows, sizes.Rows * sizes.Used), sizes.Rows);
            }

            _stack = new LayerStack(shape, layers, _weights, _state, Cache, _kernels, _adapterStep, options.MaxBatchRows);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public ModelShape Shape { get; }
    public LayerRange Layers { get; }
    public KvCache Cache { get; }

    /// <summary>Adapters held beside the weights, and who uses them.</summary>
    public StageAdapters Adapters { get; }

    /// <summary>True when the stage holds layer 0 and turns tokens into rows itself.</summary>
    public bool IsFirst => Layers.First == 0;

    /// <summary>True when the stage holds the last layer and gives logits.</summary>
    public bool IsLast => Layers.End == Shape.LayerCount;

    /// <summary>Bytes of weights, cache and buffers held; logits of many rows at once come on top.</summary>
    public long MemoryBytes => _weights.Bytes + Adapters.MemoryBytes + Cache.MemoryBytes + _state.Bytes;

    /// <summary>
    /// Loads and repacks the tensors of <paramref name="layers"/>. Throws <see cref="InvalidDataException"/> when a tensor is missing or has another
    /// shape than the metadata implies, <see cref="NotSupportedException"/> naming what is not supported.
    /// </summary>
    /// <param name="progress">Called with (bytes done, bytes in all).</param>
    public static Stage Load(ITensorSource tensors, ModelShape shape, LayerRange layers, StageOptions options, Action<long, long>? progress = null)
    {
        Check(shape, layers, options);
        CheckMemory(tensors, shape, layers, options);
        return new Stage(tensors, shape, layers, options, progress);
    }

    /// <summary>Bytes that <see cref="Load"/> would hold, at most a few kilobytes too many; throws as it would for tensors that do not fit the shape.</summary>
    public static long RequiredBytes(ITensorSource tensors, ModelShape shape, LayerRange layers, StageOptions options)
    {
        Check(shape, layers, options);
        BufferSizes sizes = BufferSizes.Of(shape, layers, options);
        long bytes = checked(KvCache.RequiredBytes(shape, layers, options) + sizes.Bytes + options.Device.WorkspaceBytes(sizes));
        foreach (TensorView tensor in WeightLoader.Check(tensors, shape, layers).Values)
        {
            bytes = checked(bytes + options.Device.LoadedBytes(tensor));
        }

        return bytes;
    }

    /// <summary>
    /// Runs the layers over the batch. <paramref name="input"/>: f32 [rows × embedding], ignored by a first stage;
    /// <paramref name="output"/>: f32 [rows × embedding], left untouched by a last stage, whose result is <see cref="Logits"/>.
    /// </summary>
    public void Forward(StepBatch batch, ReadOnlySpan<float> input, Span<float> output)
    {
        Check(batch, input, output);
        int width = Shape.EmbeddingLength;
        _kernels.Begin();
        _stack.Begin(batch);
        if (IsFirst)
        {
            _stack.Embed(batch);
        }
        else
        {
            _kernels.Upload(input, _state.Hidden, batch.RowCount, width);
        }

        _stack.Run(batch);
        if (IsLast)
        {
            _stack.Finish(batch);
            return;
        }

        _kernels.Download(_state.Hidden, batch.RowCount, width, output);
    }

    /// <summary>
    /// The row [embedding] behind the i-th entry of <see cref="StepBatch.EmbeddingRows"/>, normed as the output matrix takes it; of a last stage, valid until the
    /// next call. What <see cref="TextPooler"/> makes a text's embedding of.
    /// </summary>
    public ReadOnlySpan<float> Embedding(int i) => _kernels.View(_state.Normed, _stack.LogitRows + i, _stack.FinalRows, Shape.EmbeddingLength);

    /// <summary>Logits [vocabulary] of the i-th entry of <see cref="StepBatch.LogitRows"/>, valid until the next call; writable, for the sampler.</summary>
    public Span<float> Logits(int i) => _kernels.View(_state.Logits, i, _stack.LogitRows, Shape.VocabularySize);

    /// <summary>
    /// The largest logits of every entry of <see cref="StepBatch.LogitRows"/>, so that the rest need not leave the device. False where reading them all costs nothing, or for more than
    /// the device picks; then <see cref="Logits"/> has them.
    /// </summary>
    /// <param name="most">Largest number that any of them needs.</param>
    public bool TryPickLargest(int most, LargestLogits largest) => _kernels.TryPickLargest(_state.Logits, _stack.LogitRows, Shape.VocabularySize, most, largest);

    public void Dispose()
    {
        _weights?.Dispose();
        Cache?.Dispose();
        _state?.Dispose();
        _adapterStep?.Dispose();
        Adapters?.Dispose();
        _kernels?.Dispose();
        _team.Dispose();
    }

    /// <summary>A device that has memory of its own says before loading what is missing, not in the middle of it.</summary>
    private static void CheckMemory(ITensorSource tensors, ModelShape shape, LayerRange layers, StageOptions options)
    {
        if (options.Device.MemoryBytes > 0 && RequiredBytes(tensors, shape, layers, options) is var needed && needed > options.Device.FreeBytes)
        {
            throw new OutOfMemoryException(
                $"layers {layers} need {needed >> 20} MiB on {options.Device.Name} for weights, cache and buffers, {options.Device.FreeBytes >> 20} MiB are free; fewer layers, a shorter context or fewer sequences would do");
        }
    }

    private static void Check(ModelShape shape, LayerRange layers, StageOptions options)
    {
        if (layers.First < 0 || layers.End > shape.LayerCount || layers.Count < 1)
        {
            throw new ArgumentException($"layers {layers} are not a part of the model's {shape.LayerCount}", nameof(layers));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxBatchRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxSequences, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.KvBlocks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ContextLength, 1);
        options.Device.Check(shape, layers, options);
        if (shape.LearnedPositions && options.ContextLength > shape.ContextLength)
        {
            throw new ArgumentException($"the model has learned positions up to {shape.ContextLength}, a context of {options.ContextLength} was asked for", nameof(options));
        }
    }

    /// <summary>Everything the kernels take for granted: ids, positions and slots come from other processes.</summary>
    private void Check(StepBatch batch, ReadOnlySpan<float> input, Span<float> output)
    {
        int floats = batch.RowCount * Shape.EmbeddingLength;
        if (batch.RowCount > _options.MaxBatchRows)
        {
            throw new ArgumentException($"the batch has {batch.RowCount} rows, at most {_options.MaxBatchRows} are allowed", nameof(batch));
        }

        if ((!IsFirst && input.Length < floats) || (!IsLast && output.Length < floats))
        {
            throw new ArgumentException($"{batch.RowCount} rows need {floats} values, input has {input.Length} and output {output.Length}", nameof(input));
        }

        for (int row = 0; row < batch.RowCount; row++)
        {
            int token = batch.Tokens[row], slot = batch.Slots[row], position = batch.Positions[row];
            if (IsFirst && (uint)token >= (uint)Shape.VocabularySize)
            {
                throw new ArgumentException($"token {token} is not in the vocabulary of {Shape.VocabularySize}", nameof(batch));
            }

            if ((uint)slot >= (uint)Cache.Slots)
            {
                throw new ArgumentException($"slot {slot} does not exist, the stage has {Cache.Slots}", nameof(batch));
            }

            if (!Shape.IsCausal && position != (row > 0 && batch.Slots[row - 1] == slot ? batch.Positions[row - 1] + 1 : 0))
            {
                throw new ArgumentException($"an encoder takes whole texts, row {row} of slot {slot} is at position {position}", nameof(batch));
            }

            if (position < 0 || position >= Math.Min(Cache.Capacity(slot), _options.ContextLength))
            {
                throw new ArgumentException($"position {position} of slot {slot} has no key/value block", nameof(batch));
            }
        }
    }
}
