using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Tests.Model;

/// <summary>One sequence run through the stages of a model in this process, as a test wants it: any chunking, any stages, logits of every step.</summary>
internal sealed class Sequence : IDisposable
{
    private readonly Stage[] _stages;
    private readonly StepBatch _batch;
    private readonly float[] _rows;
    private int _position;

    public Sequence(ITensorSource tensors, ModelShape shape, StageOptions options, int stages = 1)
    {
        _batch = new StepBatch(options.MaxBatchRows);
        _rows = new float[options.MaxBatchRows * shape.EmbeddingLength];
        _stages = Load(tensors, shape, options, stages);
        int[] blocks = [.. Enumerable.Range(0, options.KvBlocks)];
        foreach (Stage stage in _stages)
        {
            stage.Cache.Append(0, blocks.AsSpan(0, Math.Min(blocks.Length, (options.ContextLength + 31) / 32)));
        }
    }

    /// <summary>Lets the sequence pass through an adapter from now on.</summary>
    public void Adapt(GgufFile adapter, float scale)
    {
        foreach (Stage stage in _stages)
        {
            stage.Adapters.Assign(0, [new AdapterUse(stage.Adapters.Load(adapter, AdapterShape.FromGguf(adapter.Metadata)), scale)]);
        }
    }

    /// <summary>Feeds tokens; returns the logits of the last one.</summary>
    public ReadOnlySpan<float> Feed(params int[] tokens)
    {
        _batch.Clear();
        for (int i = 0; i < tokens.Length; i++)
        {
            _batch.Add(tokens[i], _position++, 0, i == tokens.Length - 1);
        }

        foreach (Stage stage in _stages)
        {
            stage.Forward(_batch, _rows, _rows);
        }

        return _stages[^1].Logits(0);
    }

    /// <summary>Feeds tokens as a sequence of its own, in one step; returns the logits from the row <paramref name="first"/> on.</summary>
    public float[][] FeedAnew(int[] tokens, int first)
    {
        _batch.Clear();
        for (int i = 0; i < tokens.Length; i++)
        {
            _batch.Add(tokens[i], i, 0, i >= first);
        }

        foreach (Stage stage in _stages)
        {
            stage.Forward(_batch, _rows, _rows);
        }

        return [.. Enumerable.Range(0, tokens.Length - first).Select(i => _stages[^1].Logits(i).ToArray())];
    }

    public void Dispose()
    {
        foreach (Stage stage in _stages)
        {
            stage.Dispose();
        }
    }

    /// <summary>Stages over layers cut as evenly as they divide.</summary>
    public static Stage[] Load(ITensorSource tensors, ModelShape shape, StageOptions options, int stages) =>
        [.. Enumerable.Range(0, stages).Select(i =>
            Stage.Load(tensors, shape, new LayerRange(i * shape.LayerCount / stages, (i + 1) * shape.LayerCount / stages), options))];
}
