using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>What a model costs, layer by layer.</summary>
public sealed record ModelCost
{
    /// <summary>Weights of each layer.</summary>
    public required IReadOnlyList<long> LayerBytes { get; init; }

    /// <summary>Weights that only the first stage holds. A token reads one row of them: they cost memory, not time.</summary>
    public required long EmbeddingBytes { get; init; }

    /// <summary>Weights and cache of a draft model, which the first stage holds besides.</summary>
    public long DraftBytes { get; init; }

    /// <summary>Weights that only the last stage holds; every token reads them whole.</summary>
    public required long OutputBytes { get; init; }

    /// <summary>Key/value cache of each layer, per block.</summary>
    public required IReadOnlyList<long> KvBlockBytes { get; init; }

    /// <summary>Bytes of a row that travels between stages.</summary>
    public required long RowBytes { get; init; }

    /// <summary>Positions a sequence may reach.</summary>
    public required int ContextLength { get; init; }

    public int LayerCount => LayerBytes.Count;

    /// <summary>Blocks that one sequence of full context takes.</summary>
    public int BlocksPerSequence => (ContextLength + KvCache.BlockPositions - 1) / KvCache.BlockPositions;

    public long WeightBytes(LayerRange layers)
    {
        long bytes = 0;
        for (int layer = layers.First; layer < layers.End; layer++)
        {
            bytes += LayerBytes[layer];
        }

        return bytes + (layers.First == 0 ? EmbeddingBytes : 0) + (layers.End == LayerCount ? OutputBytes : 0);
    }

    public long KvBytesPerBlock(LayerRange layers)
    {
        long bytes = 0;
        for (int layer = layers.First; layer < layers.End; layer++)
        {
            bytes += KvBlockBytes[layer];
        }

        return bytes;
    }

    /// <summary>What the head of another model holds of this one to guess with it: its weights, and its cache for <see cref="StageSettings.DraftContexts"/> contexts of that length.</summary>
    public static long DraftBytesOf(ModelShape draft, IReadOnlyDictionary<string, long> tensorBytes, int contextLength, GgmlType kvType)
    {
        ModelCost cost = Of(draft, tensorBytes, contextLength, kvType);
        var all = new LayerRange(0, cost.LayerCount);
        return cost.WeightBytes(all) + (cost.KvBytesPerBlock(all) * StageSettings.DraftContexts * cost.BlocksPerSequence);
    }

    /// <param name="tensorBytes">Stored bytes of the model's tensors by name.</param>
    public static ModelCost Of(ModelShape shape, IReadOnlyDictionary<string, long> tensorBytes, int contextLength, GgmlType kvType)
    {
        int last = shape.LayerCount - 1;
        long[] layers = new long[shape.LayerCount];
        long[] kv = new long[shape.LayerCount];
        long embedding = 0, output = 0;
        for (int layer = 0; layer <= last; layer++)
        {
            kv[layer] = shape.KvBlockBytes(layer, kvType);
            string prefix = $"blk.{layer}.";
            foreach (string name in shape.TensorNames(new LayerRange(layer, layer + 1), tensorBytes.ContainsKey))
            {
                long bytes = tensorBytes.GetValueOrDefault(name);
                if (name.StartsWith(prefix, StringComparison.Ordinal))
                {
                    layers[layer] += bytes;
                }
                else if (layer == last)
                {
                    output += bytes;
                }
                else if (layer == 0)
                {
                    embedding += bytes;
                }
            }
        }

        return new ModelCost
        {
            LayerBytes = layers,
            EmbeddingBytes = embedding,
            OutputBytes = output,
            KvBlockBytes = kv,
            RowBytes = shape.EmbeddingLength * (long)sizeof(float),
            ContextLength = contextLength,
        };
    }
}
