using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Compute.Sampling;
using Lamina.Compute.Tokenization;

namespace Lamina.Node.Pipeline;

/// <summary>Applies steps to one stage: first the cache operations, then the rows; at the tail also samples. Owns the stage; one thread.</summary>
internal sealed class StageExecutor : IDisposable
{
    private const int MaxWarmUpSteps = 64;

    private readonly StageSettings _settings;
    private readonly SequenceTable _sequences;
    private readonly TailSampler? _sampler;
    private readonly StageTrace _trace;

    /// <param name="tokenizer">What the tail needs for grammars and for DRY; null where the model brings none.</param>
    public StageExecutor(Stage stage, StageSettings settings, Tokenizer? tokenizer = null)
    {
        Stage = stage;
        _settings = settings;
        _sequences = new SequenceTable(settings, stage.Shape.VocabularySize);
        _trace = new StageTrace(stage, settings.MaxSequences);
        _sampler = stage.IsLast ? new TailSampler(settings.MaxSequences, settings.ContextLength, stage.Shape, tokenizer) : null;
    }

    public Stage Stage { get; }

    /// <summary>Guesses for the head that runs this stage; owned. Null = each sequence's own text does.</summary>
    public DraftModel? Draft { get; init; }

    public long MemoryBytes => Stage.MemoryBytes + (Draft?.MemoryBytes ?? 0);

    /// <summary>What the last step sampled; empty but at the tail.</summary>
    public SampledTokens Sampled { get; } = new();

    /// <summary>
    /// <paramref name="input"/> and <paramref name="output"/> as in <see cref="Stage.Forward"/>. Throws <see cref="InvalidDataException"/> when the step does not fit the plan.
    /// </summary>
    public void Execute(Step step, ReadOnlySpan<float> input, Span<float> output)
    {
        Apply(step.Operations);
        Sampled.Clear();
        if (step.Batch.RowCount > 0)
        {
            _sequences.CheckRows(step.Batch);
            Stage.Forward(step.Batch, input, output);
            _trace.CountStep(step);
            _sampler?.Sample(Stage, step.Batch, Sampled);
        }
    }

    /// <summary>
    /// Runs a few steps of no consequence, so that the first generation does not wait for the kernels to be compiled: a prompt's chunk and single tokens, until the time is up.
    /// </summary>
    public void WarmUp(TimeSpan budget)
    {
        int width = Stage.Shape.EmbeddingLength;
        int chunk = Math.Min(Math.Min(_settings.MaxBatchRows, _settings.ContextLength), Math.Min(KvCache.BlockPositions, _settings.KvBlocks * KvCache.BlockPositions));
        using var rows = new NativeBuffer((long)chunk * width * sizeof(float) * 2);
        Span<float> input = rows.Floats(chunk * width * 2)[..(chunk * width)];
        Span<float> output = Stage.IsLast ? [] : rows.Floats(chunk * width * 2)[(chunk * width)..];
        bool generates = Stage.Shape.HasLogits;
        byte[] settings = SamplingWire.Write(new TailSettings(SamplingSettings.From(new SamplingParameters()), 1, 0, [], Pool: !generates));
        var step = new Step(chunk);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < MaxWarmUpSteps && (i == 0 || Stopwatch.GetElapsedTime(start) < budget); i++)
        {
            // Every fourth time a chunk, else a single token.
            int count = i % 4 == 0 ? chunk : 1;
            step.Clear();
            step.Operations.Open(0, new int[count], settings);
            step.Operations.Append(0, [0]);
            for (int position = 0; position < count; position++)
            {
                step.Batch.Add(0, position, 0, generates && position == count - 1, !generates);
            }

            Execute(step, input, output);
            step.Clear();
            step.Operations.Release(0);
            step.Operations.ClearBlocks([0]);
            Execute(step, [], []);
        }

        Sampled.Clear();
    }

    public void Dispose()
    {
        _trace.Dispose();
        _sampler?.Dispose();
        Sampled.Clear();
        Stage.Dispose();
        Draft?.Dispose();
    }

    /// <summary>Adapters that were loaded beside the weights.</summary>
    public int AdapterCount { get; private set; }

    /// <summary>Before the first step; throws as <see cref="StageAdapters.Load"/> does.</summary>
    public void LoadAdapter(ITensorSource tensors, AdapterShape adapter)
    {
        int number = Stage.Adapters.Load(tensors, adapter);
        AdapterCount = number + 1;
    }

    private void Adapt(int slot, ReadOnlySpan<int> pairs)
    {
        _sequences.CheckOpen(slot);
        var uses = new AdapterUse[pairs.Length / 2];
        for (int i = 0; i < uses.Length; i++)
        {
            uses[i] = new AdapterUse(pairs[i * 2], BitConverter.Int32BitsToSingle(pairs[(i * 2) + 1]));
        }

        try
        {
            Stage.Adapters.Assign(slot, uses);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException(e.Message, e);
        }
    }

    private void Apply(OperationBuffer operations)
    {
        var reader = new OperationReader(operations.Words);
        while (reader.MoveNext())
        {
            switch (reader.Code)
            {
                case OperationCode.Release:
                    _sequences.Release(reader.Slot);
                    Stage.Cache.Release(reader.Slot);
                    _trace.Release(reader.Slot);
                    Stage.Adapters.Assign(reader.Slot, []);
                    _sampler?.Release(reader.Slot);
                    break;
                case OperationCode.Clear:
                    _sequences.CheckBlocks(reader.Blocks);
                    Stage.Cache.ClearBlocks(reader.Blocks);
                    break;
                case OperationCode.Copy:
                    _sequences.CheckBlock(reader.Source);
                    _sequences.CheckBlock(reader.Destination);
                    Stage.Cache.CopyBlock(reader.Source, reader.Destination);
                    break;
                case OperationCode.Open:
                    _sequences.Open(reader.Slot, reader.Tokens);
                    _sampler?.Open(reader.Slot, reader.Tokens, reader.Settings);
                    _trace.Open(reader.Slot, reader.Settings);
                    break;
                case OperationCode.Append:
                    _sequences.Append(reader.Slot, reader.Blocks);
                    Stage.Cache.Append(reader.Slot, reader.Blocks);
                    break;
                case OperationCode.Adapt:
                    Adapt(reader.Slot, reader.Adapters);
                    break;
            }
        }
    }
}
