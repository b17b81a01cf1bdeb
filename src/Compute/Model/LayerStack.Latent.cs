using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

internal sealed unsafe partial class LayerStack
{
    /// <summary>Multi-head latent attention: see <see cref="LatentShape"/>.</summary>
    private void LatentAttention(AttentionShape shape, LatentWeights latent, LayerWeights weights, int index, StepBatch batch, Rows input, Rows output)
    {
        LatentShape latentShape = shape.Latent!;
        int rows = batch.RowCount, rank = latentShape.KvRank;
        Rows plain = LatentQueries(latentShape, latent, input, rows), compressed = _state.LatentKeyValue;
        _kernels.Multiply(latent.CompressKeyValue, input, rows, compressed);
        _kernels.RmsNorm(compressed, latent.KeyValueNorm.Values, compressed, rows, rank, _shape.NormEpsilon);
        if (_ropes[index] is { } rope)
        {
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, plain.From(latentShape.PlainLength), rows, shape.Heads, latentShape.QueryLength);
            _kernels.Rope(rope.Angles, rope.Cosines, rope.Sines, compressed.From(rank), rows, 1, 0);
        }

        if (latentShape.Absorbed)
        {
            Absorbed(shape, latent, weights, index, batch, plain, compressed);
        }
        else
        {
            Decompressed(shape, latent, weights, index, batch, plain, compressed);
        }

        _kernels.Multiply(weights.AttentionOutput, _state.Attended, rows, output);
    }

    /// <summary>Queries before rotation, [rows × (heads × query length)].</summary>
    private Rows LatentQueries(LatentShape shape, LatentWeights latent, Rows input, int rows)
    {
        if (latent.CompressQuery is { } compress)
        {
            _kernels.Multiply(compress, input, rows, _state.LatentQuery);
            _kernels.RmsNorm(_state.LatentQuery, latent.QueryNorm!.Values, _state.LatentQuery, rows, shape.QueryRank, _shape.NormEpsilon);
            input = _state.LatentQuery;
        }

        _kernels.Multiply(latent.Query, input, rows, _state.LatentQueries);
        return _state.LatentQueries;
    }

    /// <summary>One cached row for all heads: a query is mapped into the compressed space, and what attention gives is mapped out of it.</summary>
    private void Absorbed(AttentionShape shape, LatentWeights latent, LayerWeights weights, int index, StepBatch batch, Rows plain, Rows compressed)
    {
        LatentShape latentShape = shape.Latent!;
        int rows = batch.RowCount, rank = latentShape.KvRank;
        Rows queries = _state.QueryKeyValue, attended = _state.Attended;
        for (int h = 0; h < shape.Heads; h++)
        {
            Rows head = plain.From(h * latentShape.QueryLength), query = queries.From(h * shape.KeyLength);
            _kernels.Multiply(latent.AbsorbKey[h], head, rows, query);
            _kernels.Copy(head.From(latentShape.PlainLength), query.From(rank), rows, latentShape.RopeLength);
        }

        Attend(shape, weights, index, batch, queries, compressed, compressed);
        for (int h = 0; h < shape.Heads; h++)
        {
            _kernels.Multiply(latent.DecompressValue[h], attended.From(h * rank), rows, _state.Decompressed.From(h * latentShape.ValueLength));
        }

        _kernels.Copy(_state.Decompressed, attended, rows, shape.OutputWidth);
    }

    /// <summary>Every head's keys and values in full.</summary>
    private void Decompressed(AttentionShape shape, LatentWeights latent, LayerWeights weights, int index, StepBatch batch, Rows plain, Rows compressed)
    {
        LatentShape latentShape = shape.Latent!;
        int rows = batch.RowCount, plainLength = latentShape.PlainLength, valueLength = latentShape.ValueLength;
        Rows keys = _state.QueryKeyValue, values = keys.From(shape.KeyWidth);
        _kernels.Multiply(latent.DecompressKeyValue!, compressed, rows, _state.Decompressed);
        for (int h = 0; h < shape.Heads; h++)
        {
            Rows head = _state.Decompressed.From(h * (plainLength + valueLength)), key = keys.From(h * shape.KeyLength);
            _kernels.Copy(head, key, rows, plainLength);
            _kernels.Copy(compressed.From(latentShape.KvRank), key.From(plainLength), rows, latentShape.RopeLength);
            _kernels.Copy(head.From(plainLength), values.From(h * valueLength), rows, valueLength);
        }

        Attend(shape, weights, index, batch, plain, keys, values);
    }
}
