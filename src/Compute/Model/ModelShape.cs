using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Model.Architectures;

namespace Lamina.Compute.Model;

/// <summary>What a model's metadata says about its architecture; every stage derives its expected tensors from it.</summary>
public sealed partial record ModelShape
{
    /// <summary>GGUF's <c>general.architecture</c>.</summary>
    public required string Architecture { get; init; }

    public required int LayerCount { get; init; }

    /// <summary>Width of the residual stream, and of the f32 rows that travel between stages.</summary>
    public required int EmbeddingLength { get; init; }

    public required int VocabularySize { get; init; }

    /// <summary>Positions the model was trained for.</summary>
    public required int ContextLength { get; init; }

    /// <summary>[layers].</summary>
    internal IReadOnlyList<LayerShape> Layers { get; init; } = [];

    internal NormKind Norm { get; init; }

    internal float NormEpsilon { get; init; }

    /// <summary>Factor on embeddings.</summary>
    internal float EmbeddingScale { get; init; } = 1;

    /// <summary>Factor on what a layer adds to the residual stream.</summary>
    internal float ResidualScale { get; init; } = 1;

    /// <summary>Factor on logits.</summary>
    internal float LogitScale { get; init; } = 1;

    /// <summary>Logits become cap × tanh(logit / cap); 0 = off.</summary>
    internal float LogitSoftCap { get; init; }

    /// <summary>A learned vector per position is added to the embedding.</summary>
    internal bool LearnedPositions { get; init; }

    /// <summary>Norm of the embeddings before the first layer.</summary>
    internal bool EmbeddingNorm { get; init; }

    /// <summary>Kinds of segments, of which the first is added to every embedding; 0 = none.</summary>
    internal int TokenTypes { get; init; }

    /// <summary>False for encoders: every row sees its whole sequence, which must stand in one step.</summary>
    public bool IsCausal { get; init; } = true;

    /// <summary>False for encoders, whose result is <see cref="Stage.Embedding"/>.</summary>
    public bool HasLogits { get; init; } = true;

    /// <summary>How the rows of a text become its embedding, as the file says.</summary>
    public PoolingKind Pooling { get; init; }

    /// <summary>Reads and checks the shape. Throws <see cref="InvalidDataException"/> naming key, found and expected value, <see cref="NotSupportedException"/> naming what is not supported.</summary>
    public static ModelShape FromGguf(GgufMetadata metadata)
    {
        if (Adapters.AdapterShape.IsAdapter(metadata))
        {
            throw new InvalidDataException("the file is an adapter ('general.type'), not a model; it is loaded beside one");
        }

        string architecture = metadata.GetString("general.architecture");
        return ArchitectureList.Read(architecture, new HyperParameters(metadata, architecture));
    }

    /// <summary>Bytes of key/value cache per block and layer.</summary>
    public long KvBlockBytes(int layer, GgmlType kvType) => KvLayout(layer, kvType).BlockBytes;

    internal KvLayout KvLayout(int layer, GgmlType kvType)
    {
        AttentionShape attention = Layers[layer].Attention;
        return new KvLayout(kvType, attention.KvHeads, attention.KeyLength, attention.ValueLength);
    }
}
