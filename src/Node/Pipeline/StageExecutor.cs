using Lamina.Cluster.Messages;
using Lamina.Compute.Model;

namespace Lamina.Node.Pipeline;

/// <summary>Applies steps to one stage: first the cache operations, then the rows; at the tail also samples. Owns the stage; one thread.</summary>
internal sealed class StageExecutor : IDisposable
{
    private readonly SequenceTable _sequences;
    private readonly TailSampler? _sampler;

    public StageExecutor(Stage stage, StageSettings settings)
    {
        Stage = stage;
        _sequences = new SequenceTable(settings, stage.Shape.VocabularySize);
        _sampler = stage.IsLast ? new TailSampler(settings.MaxSequences, settings.ContextLength, stage.Shape.VocabularySize) : null;
    }

    public Stage Stage { get; }

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
            _sampler?.Sample(Stage, step.Batch, Sampled);
        }
    }

    public void Dispose()
    {
        _sampler?.Dispose();
        Sampled.Clear();
        Stage.Dispose();
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
                    break;
                case OperationCode.Append:
                    _sequences.Append(reader.Slot, reader.Blocks);
                    Stage.Cache.Append(reader.Slot, reader.Blocks);
                    break;
            }
        }

    }
}
