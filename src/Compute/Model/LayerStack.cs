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
    private readonly IKernels _kernels;
    private readonly AdapterStep? _adapters;

    /// <summary>[layers of the stage]: null where positions do not rotate; layers that rotate alike share one.</summary>
    private readonly RopeTable?[] _ropes;
    private readonly RopeTable[] _distinctRopes;

    public LayerStack(ModelShape shape, LayerRange range, Weights weights, State state, KvCache cache, IKernels kernels, AdapterStep? adapters, int maxRows)
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
    public void Begin(StepBatch batch) => _adapters?.Begin(batch);

    /// <summary>Tokens to rows of the residual stream.</summary>
    public void Embed(StepBatch batch)
    {
        Rows x = _state.Hidden;
        _kernels.Embed(_weights.Embedding!.Parts[0].Matrix, batch.Tokens, x);
        _adapters?.AddEmbedding(_weights.EmbeddingDeltas, batch, x);
        if (_shape.EmbeddingScale != 1)
        {
            _kernels.Scale(x, _shape.EmbeddingScale, batch.RowCount, _shape.EmbeddingLength);
        }

        if (_weights.Positions is { } positions)
        {
            Rows learned = _state.Branch;
            _kernels.Embed(positions.Parts[0].Matrix, batch.Positions, learned);
            _kernels.Add(learned, 1, x, batch.RowCount, _shape.EmbeddingLength);
        }

        if (_weights.TokenTypes is { } types)
        {
            Rows first = _state.Branch;
            _kernels.Embed(types.Parts[0].Matrix, [0], first);
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

    /// <summary>Logit and embedding rows of the batch finished last.</summary>
    public int FinalRows { get; private set; }

    /// <summary>Final rows of those that ask, and the logits of those that ask for logits.</summary>
    public void Finish(StepBatch batch)
    {
        int rows = LogitRows = batch.LogitRowCount;
        FinalRows = rows + batch.EmbeddingRowCount;
        if (FinalRows == 0)
        {
            return;
        }

        _kernels.Gather(_state.Hidden, batch.LogitRows, _state.Branch, _shape.EmbeddingLength);
        _kernels.Gather(_state.Hidden, batch.EmbeddingRows, _state.Branch.Skip(rows), _shape.EmbeddingLength);
        Normalise(_weights.OutputNorm, _state.Branch, _state.Normed, FinalRows);
        if (!_shape.HasLogits || rows == 0)
        {
            return;
        }

        _state.EnsureLogits(rows);
        Rows logits = _state.Logits;
        _kernels.Multiply(_weights.Output!, _state.Normed, rows, logits, ofLogitRows: true);
        if (_shape.LogitScale != 1)
        {
            _kernels.Scale(logits, _shape.LogitScale, rows, _shape.VocabularySize);
        }

        if (_shape.LogitSoftCap != 0)
        {
            _kernels.SoftCap(logits, _shape.LogitSoftCap, rows, _shape.VocabularySize);
        }
    }

    private void Layer(LayerShape layer, LayerWeights weights, int index, StepBatch batch)
    {
        int rows = batch.RowCount, width = _shape.EmbeddingLength;
        Rows x = _state.Hidden, normed = _state.Normed, attended = _state.Branch, fed = _state.BranchToo;

        bool parallel = layer.Residual is ResidualForm.Parallel or ResidualForm.ParallelOwnNorms || (layer.Residual == ResidualForm.ParallelWithoutFeedForwardNorm && weights.FeedForwardNorm is null);
        Normalise(weights.AttentionNorm, x, normed, rows);
        Rows blockInput = normed;
        if (layer.Residual == ResidualForm.Parallel && weights.FeedForwardNorm is not null)
        {
            // Attention has a norm of its own; the feed-forward block takes the first one.
            Normalise(weights.FeedForwardNorm, x, _state.NormedToo, rows);
            (normed, blockInput) = (_state.NormedToo, normed);
        }
        else if (layer.Residual == ResidualForm.ParallelOwnNorms)
        {
            Normalise(weights.FeedForwardNorm, x, blockInput = _state.NormedToo, rows);
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
        _kernels.Multiply(weights.GateUp, input, rows, gateUp);
        _kernels.Activate(block.Activation, gateUp, block.Gated ? gateUp.From(weights.Length) : null, gateUp, rows, weights.Length);
        _kernels.Multiply(weights.Down, gateUp, rows, output);
    }

    /// <summary>y = norm(x), or x itself where the layer has no such norm.</summary>
    private void Normalise(Norm? norm, Rows x, Rows y, int rows)
    {
        int width = _shape.EmbeddingLength;
        if (norm is null)
        {
            if (x.First != y.First)
            {
                _kernels.Copy(x, y, rows, width);
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
