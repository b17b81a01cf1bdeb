using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Model;

/// <summary>The forward pass of every architecture, written once: shape says what happens, weights with what, state where.</summary>
internal sealed unsafe partial class LayerStack
{
    private readonly ModelShape _shape;
    private readonly LayerRange _range;
    private readonly Weights _weights;
    private readonly State _state;
    private readonly KvCache _cache;
    private readonly CpuKernels _kernels;
    private readonly AdapterStep _adapters;

    /// <summary>The step at hand.</summary>
    private StepBatch _batch = null!;

    /// <summary>[layers of the stage]: null where positions do not rotate; layers that rotate alike share one.</summary>
    private readonly RopeTable?[] _ropes;
    private readonly RopeTable[] _distinctRopes;

    public LayerStack(ModelShape shape, LayerRange range, Weights weights, State state, KvCache cache, CpuKernels kernels, AdapterStep adapters, int maxRows)
    {
        _shape = shape;
        _range = range;
        _weights = weights;
        _state = state;
        _cache = cache;
        _kernels = kernels;
        _adapters = adapters;

        var tables = new Dictionary<RopeShape, RopeTable>();
        _ropes = new RopeTable?[range.Count];
        for (int i = 0; i < range.Count; i++)
        {
            if (shape.Layers[range.First + i].Attention.Rope is not { Dimensions: > 0 } rope)
            {
                continue;
            }

            if (!tables.TryGetValue(rope, out RopeTable? table))
            {
                table = new RopeTable(rope.Angles(weights.RopeFactors), state.Buffer(maxRows, rope.Dimensions), state.Buffer(maxRows, rope.Dimensions));
                tables.Add(rope, table);
            }

            _ropes[i] = table;
        }

        _distinctRopes = [.. tables.Values];
    }

    /// <summary>Takes the next step; the calls that follow belong to it.</summary>
    public void Begin(StepBatch batch)
    {
        _batch = batch;
        _adapters.Begin(batch);
    }

    /// <summary>Tokens to rows of the residual stream.</summary>
    public void Embed(StepBatch batch)
    {
        Rows x = _state.Hidden;
        Embedding.Lookup(_weights.Embedding!.Parts[0].Matrix, batch.Tokens, x.First, (nint)x.Stride);
        _adapters.AddEmbedding(_weights.EmbeddingDeltas, batch, x);
        if (_shape.EmbeddingScale != 1)
        {
            _kernels.Scale(x, _shape.EmbeddingScale, batch.RowCount, _shape.EmbeddingLength);
        }

        if (_weights.Positions is { } positions)
        {
            Rows learned = _state.Branch;
            Embedding.Lookup(positions.Parts[0].Matrix, batch.Positions, learned.First, (nint)learned.Stride);
            _kernels.Add(learned, 1, x, batch.RowCount, _shape.EmbeddingLength);
        }

        if (_weights.TokenTypes is { } types)
        {
            Rows first = _state.Branch;
            Embedding.Lookup(types.Parts[0].Matrix, [0], first.First, (nint)first.Stride);
            _kernels.AddBias(first.First, x, batch.RowCount, _shape.EmbeddingLength);
        }

        Normalise(_weights.EmbeddingNorm, x, x, batch.RowCount);
    }

    /// <summary>All layers of the stage over the residual stream.</summary>
    public void Run(StepBatch batch)
    {
        Place(batch);
        for (int i = 0; i < _range.Count; i++)
        {
            Layer(_shape.Layers[_range.First + i], _weights.Layers[i], i, batch);
        }
    }

    /// <summary>Logit rows of the batch finished last; the embedding rows stand behind them.</summary>
    public int LogitRows { get; private set; }

    /// <summary>Final rows of those that ask, and the logits of those that ask for logits.</summary>
    public void Finish(StepBatch batch)
    {
        int rows = LogitRows = batch.LogitRowCount;
        if (rows + batch.EmbeddingRowCount == 0)
        {
            return;
        }

        Gather(batch.LogitRows, 0);
        Gather(batch.EmbeddingRows, rows);
        Normalise(_weights.OutputNorm, _state.Branch, _state.Normed, rows + batch.EmbeddingRowCount);
        if (!_shape.HasLogits || rows == 0)
        {
            return;
        }

        _state.EnsureLogits(rows);
        Rows logits = _state.Logits;
        Multiply(_weights.Output!, _state.Normed, rows, logits, _adapters.LogitRows);
        if (_shape.LogitScale != 1)
        {
            _kernels.Scale(logits, _shape.LogitScale, rows, _shape.VocabularySize);
        }

        if (_shape.LogitSoftCap != 0)
        {
            _kernels.SoftCap(logits, _shape.LogitSoftCap, rows, _shape.VocabularySize);
        }
    }

    private void Gather(ReadOnlySpan<int> rows, int first)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            new ReadOnlySpan<float>(_state.Hidden[rows[i]], _shape.EmbeddingLength).CopyTo(new Span<float>(_state.Branch[first + i], _shape.EmbeddingLength));
        }
    }

    private void Layer(LayerShape layer, LayerWeights weights, int index, StepBatch batch)
    {
        int rows = batch.RowCount, width = _shape.EmbeddingLength;
        Rows x = _state.Hidden, normed = _state.Normed, attended = _state.Branch, fed = _state.BranchToo;

        bool parallel = layer.Residual == ResidualForm.Parallel || (layer.Residual == ResidualForm.ParallelWithoutFeedForwardNorm && weights.FeedForwardNorm is null);
        Normalise(weights.AttentionNorm, x, normed, rows);
        Rows blockInput = normed;
        if (layer.Residual == ResidualForm.Parallel && weights.FeedForwardNorm is not null)
        {
            // Attention has a norm of its own; the feed-forward block takes the first one.
            Normalise(weights.FeedForwardNorm, x, _state.NormedToo, rows);
            (normed, blockInput) = (_state.NormedToo, normed);
        }

        Attention(layer.Attention, weights, index, batch, normed, attended);
        Normalise(weights.PostAttentionNorm, attended, attended, rows);
        if (!parallel)
        {
            _kernels.Add(attended, _shape.ResidualScale, x, rows, width);
            Normalise(weights.AttentionStreamNorm, x, x, rows);
            blockInput = normed;
            Normalise(weights.FeedForwardNorm, x, blockInput, rows);
        }

        if (weights.Experts is { } experts)
        {
            Experts(layer.FeedForward, experts, blockInput, rows, fed);
        }
        else
        {
            FeedForward(layer.FeedForward, weights.FeedForward!, blockInput, rows, fed);
        }

        Normalise(weights.PostFeedForwardNorm, fed, fed, rows);
        if (parallel)
        {
            _kernels.Add(attended, _shape.ResidualScale, x, rows, width);
        }

        _kernels.Add(fed, _shape.ResidualScale, x, rows, width);
        Normalise(weights.LayerStreamNorm, x, x, rows);
    }

    private void FeedForward(FeedForwardShape block, FeedForwardWeights weights, Rows input, int rows, Rows output)
    {
        Rows gateUp = _state.GateUp;
        Multiply(weights.GateUp, input, rows, gateUp);
        _kernels.Activate(block.Activation, gateUp, block.Gated ? gateUp.From(weights.Length) : null, gateUp, rows, weights.Length);
        Multiply(weights.Down, gateUp, rows, output);
    }

    /// <summary>y = W x + b, and what adapters change.</summary>
    /// <param name="batchRows">Row of the step of each row; null for the same.</param>
    private void Multiply(Linear weights, Rows x, int rows, Rows y, int* batchRows = null)
    {
        _state.Inputs.Set(x.First, (nint)x.Stride, rows, weights.Columns);
        foreach ((WeightMatrix matrix, int firstOutput) in weights.Parts)
        {
            MatMul.Multiply(_kernels.Team, matrix, _state.Inputs, y.First + firstOutput, (nint)y.Stride);
        }

        if (weights.Bias is not null)
        {
            _kernels.AddBias(weights.Bias, y, rows, weights.Rows);
        }

        _adapters.Add(weights, _batch, _state.Inputs, null, batchRows, rows, y);
    }

    /// <summary>y = norm(x), or x itself where the layer has no such norm.</summary>
    private void Normalise(Norm? norm, Rows x, Rows y, int rows)
    {
        int width = _shape.EmbeddingLength;
        if (norm is null)
        {
            if (x.First != y.First)
            {
                Copy(x, y, rows, width);
            }
        }
        else if (_shape.Norm == NormKind.Rms)
        {
            _kernels.RmsNorm(x, norm.Weight.Values, y, rows, width, _shape.NormEpsilon);
        }
        else
        {
            _kernels.LayerNorm(x, norm.Weight.Values, norm.Bias is null ? null : norm.Bias.Values, y, rows, width, _shape.NormEpsilon);
        }
    }
}
