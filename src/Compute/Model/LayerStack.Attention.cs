using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Model;

internal sealed unsafe partial class LayerStack
{
    /// <summary>Where the batch's rows stand: positions, rotation factors and cache blocks, the same for all layers.</summary>
    private void Place(StepBatch batch)
    {
        for (int row = 0; row < batch.RowCount; row++)
        {
            int position = batch.Positions[row];
            _state.Positions[row] = position;
            _state.Blocks[row] = _cache.Table(batch.Slots[row])[position / KvCache.BlockPositions];
        }

        for (int row = batch.RowCount - 1, last = 0; row >= 0; row--)
        {
            bool endsSequence = row == batch.RowCount - 1 || batch.Slots[row + 1] != batch.Slots[row];
            last = endsSequence ? batch.Positions[row] : last;
            _state.LastPositions[row] = last;
        }

        foreach (RopeTable rope in _distinctRopes)
        {
            _kernels.RopeFactors(rope.Angles, _state.Positions, batch.RowCount, rope.Cosines, rope.Sines);
        }
    }

    private void Attention(AttentionShape shape, LayerWeights weights, int index, StepBatch batch, Rows input, Rows output)
    {
        if (weights.Latent is { } latent)
        {
            LatentAttention(shape, latent, weights, index, batch, input, output);
            return;
        }

        int rows = batch.RowCount;
        Rows queries = _state.QueryKeyValue, keys = queries.From(shape.QueryWidth), values = keys.From(shape.KeyWidth);
        Multiply(weights.QueryKeyValue!, input, rows, queries);
        if (shape.Clamp != 0)
        {
            _kernels.Clamp(queries, shape.Clamp, rows, shape.QueryWidth + shape.KeyWidth + shape.ValueWidth);
        }

        NormaliseHeads(shape, queries, rows, shape.Heads, weights.QueryNorm);
        NormaliseHeads(shape, keys, rows, shape.KvHeads, weights.KeyNorm);

        if (_ropes[index] is { } rope)
        {
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, queries, rows, shape.Heads, shape.KeyLength);
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, keys, rows, shape.KvHeads, shape.KeyLength);
        }

        Attend(shape, weights, index, batch, queries, keys, values);
        Multiply(weights.AttentionOutput, _state.Attended, rows, output);
    }

    private void Attend(AttentionShape shape, LayerWeights weights, int index, StepBatch batch, Rows queries, Rows keys, Rows values)
    {
        _kernels.StoreKeyValues(
            new KeyValueRows
            {
                Layout = _cache.Layout(index),
                Keys = keys,
                Values = values,
                Positions = _state.Positions,
                Blocks = _state.Blocks,
                Pool = _cache.Pool(index),
            },
            batch.RowCount);

        _kernels.Attend(
            new AttentionLayer
            {
                Layout = _cache.Layout(index),
                Heads = shape.Heads,
                Scale = shape.Scale,
                SoftCap = shape.SoftCap,
                WindowKind = shape.WindowKind,
                Window = shape.Window,
                Causal = _shape.IsCausal,
                Sinks = weights.Sinks is null ? null : weights.Sinks.Values,
                Queries = queries,
                Output = _state.Attended,
                Positions = _state.Positions,
                LastPositions = _state.LastPositions,
                Pool = _cache.Pool(index),
            },
            batch.Slots,
            _state.Attention);
    }

    private void NormaliseHeads(AttentionShape shape, Rows x, int rows, int heads, Vector? weight)
    {
        if (weight is null)
        {
            return;
        }

        bool whole = shape.HeadNorm == HeadNorm.WholeRow;
        _kernels.HeadNorm(
            x,
            rows,
            whole ? 1 : heads,
            whole ? heads * shape.KeyLength : shape.KeyLength,
            weight.Values,
            shape.HeadNorm == HeadNorm.OwnWeights ? shape.KeyLength : 0,
            _shape.Norm == NormKind.Layer,
            _shape.NormEpsilon);
    }
}
