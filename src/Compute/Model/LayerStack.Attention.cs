using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Model;

internal sealed unsafe partial class LayerStack
{
    private void Place(StepBatch batch)
    {
        _state.Placement.Set(batch, _cache);
        foreach (RopeTable rope in _distinctRopes)
        {
            _kernels.RopeFactors(rope.Angles, batch.Positions, rope.Cosines, rope.Sines);
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
        _kernels.Multiply(weights.QueryKeyValue!, input, rows, queries);
        if (shape.Clamp != 0)
        {
            _kernels.Clamp(queries, shape.Clamp, rows, shape.QueryWidth + shape.KeyWidth + shape.ValueWidth);
        }

        if (!shape.HeadNormAfterRope)
        {
            NormaliseHeads(shape, weights, queries, keys, rows);
        }

        if (_ropes[index] is { } rope)
        {
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, queries, rows, shape.Heads, shape.KeyLength);
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, keys, rows, shape.KvHeads, shape.KeyLength);
        }

        if (shape.HeadNormAfterRope)
        {
            NormaliseHeads(shape, weights, queries, keys, rows);
        }

        if (shape.Growth is { } growth)
        {
            for (int row = 0; row < rows; row++)
            {
                _kernels.Scale(queries.Skip(row), growth.At(batch.Positions[row]), 1, shape.QueryWidth);
            }
        }

        Attend(shape, weights, index, batch, queries, keys, values);
        _kernels.Multiply(weights.AttentionOutput, _state.Attended, rows, output);
    }

    private void Attend(AttentionShape shape, LayerWeights weights, int index, StepBatch batch, Rows queries, Rows keys, Rows values)
    {
        Placement place = _state.Placement;
        _kernels.StoreKeyValues(
            new KeyValueRows
            {
                Layout = _cache.Layout(index),
                Keys = keys,
                Values = values,
                Positions = place.Positions,
                Blocks = place.Blocks,
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
                AlibiBias = shape.AlibiBias,
                Causal = _shape.IsCausal,
                Sinks = weights.Sinks is null ? null : weights.Sinks.Values,
                Queries = queries,
                Output = _state.Attended,
                Positions = place.Positions,
                LastPositions = place.LastPositions,
                Pool = _cache.Pool(index),
                Slots = place.Slots,
                Tables = _cache.Tables,
                TableLength = _cache.TableLength,
                LastPosition = place.LastPosition,
            },
            batch.Slots);
    }

    private void NormaliseHeads(AttentionShape shape, LayerWeights weights, Rows queries, Rows keys, int rows)
    {
        NormaliseHeads(shape, queries, rows, shape.Heads, weights.QueryNorm);
        NormaliseHeads(shape, keys, rows, shape.KvHeads, weights.KeyNorm);
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
