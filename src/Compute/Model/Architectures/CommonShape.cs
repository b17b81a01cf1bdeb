using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>What nearly every decoder's metadata says in the same keys; architectures change the result with <c>with</c>.</summary>
internal static class CommonShape
{
    /// <summary>A pre-norm decoder with grouped attention, rotary positions and a gated SiLU block.</summary>
    public static ModelShape Read(HyperParameters p, RopePairing pairing, NormKind norm = NormKind.Rms)
    {
        int layers = p.Int("block_count", 1, HyperParameters.MaxLayers);
        int embedding = p.Int("embedding_length", 1, HyperParameters.MaxWidth);
        int context = p.Int("context_length", 1, int.MaxValue);
        int vocabulary = p.Metadata.FindCount("tokenizer.ggml.tokens") ?? p.Int("vocab_size", 1, 1 << 24);
        if (vocabulary is < 1 or > 1 << 24)
        {
            throw new InvalidDataException($"the vocabulary has {vocabulary} tokens, expected 1 to {1 << 24}");
        }

        float epsilon = p.Float(norm == NormKind.Rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
        if (epsilon is < 0 or > 1)
        {
            throw new InvalidDataException($"the norm's epsilon is {epsilon}, expected 0 to 1");
        }

        int[] heads = p.PerLayer("attention.head_count", layers, 1, HyperParameters.MaxHeads);
        int[] kvHeads = p.FindPerLayer("attention.head_count_kv", layers, 1, HyperParameters.MaxHeads) ?? heads;
        int[] lengths = p.FindPerLayer("feed_forward_length", layers, 0, HyperParameters.MaxWidth) ?? new int[layers];
        int keyLength = p.FindInt("attention.key_length", 1, HyperParameters.MaxHeadLength) ?? HeadLength(embedding, heads[0]);
        int valueLength = p.FindInt("attention.value_length", 1, HyperParameters.MaxHeadLength) ?? HeadLength(embedding, heads[0]);
        RopeShape rope = ReadRope(p, pairing, keyLength, context);
        float alibi = p.FindFloat("attention.max_alibi_bias") ?? 0;
        if (alibi < 0)
        {
            throw new InvalidDataException($"'{p.Key("attention.max_alibi_bias")}' is {alibi}, expected 0 or more");
        }


        var shapes = new LayerShape[layers];
        for (int i = 0; i < layers; i++)
        {
            if (heads[i] % kvHeads[i] != 0)
            {
                throw new InvalidDataException($"layer {i} has {heads[i]} heads for {kvHeads[i]} key/value heads, expected a multiple");
            }

            shapes[i] = new LayerShape
            {
                Attention = new AttentionShape
                {
                    Heads = heads[i],
                    KvHeads = kvHeads[i],
                    KeyLength = keyLength,
                    ValueLength = valueLength,
                    Scale = p.FindFloat("attention.scale") is { } scale && scale != 0 ? scale : 1f / MathF.Sqrt(keyLength),
                    Rope = rope,
                    AlibiBias = alibi,
                },
                FeedForward = new FeedForwardShape { Length = lengths[i], Activation = Activation.Silu },
            };
        }

        return new ModelShape
        {
            Architecture = p.Architecture,
            LayerCount = layers,
            EmbeddingLength = embedding,
            VocabularySize = vocabulary,
            ContextLength = context,
            Layers = shapes,
            Norm = norm,
            NormEpsilon = epsilon,
            Pooling = p.FindInt("pooling_type", 0, int.MaxValue) switch
            {
                null or 0 => PoolingKind.None,
                { } kind and <= 3 => (PoolingKind)kind,
                4 => throw new NotSupportedException($"pooling by rank ('{p.Key("pooling_type")}' 4) is not supported"),
                { } other => throw new InvalidDataException($"'{p.Key("pooling_type")}' is {other}, expected 0 to 4"),
            },
        };
    }

    /// <summary>The shape with every layer changed; the index comes along.</summary>
    public static ModelShape WithLayers(this ModelShape shape, Func<LayerShape, int, LayerShape> change) =>
        shape with { Layers = [.. shape.Layers.Select(change)] };

    public static ModelShape WithAttention(this ModelShape shape, Func<AttentionShape, int, AttentionShape> change) =>
        shape.WithLayers((layer, i) => layer with { Attention = change(layer.Attention, i) });

    public static ModelShape WithFeedForward(this ModelShape shape, Func<FeedForwardShape, int, FeedForwardShape> change) =>
        shape.WithLayers((layer, i) => layer with { FeedForward = change(layer.FeedForward, i) });

    private static RopeShape ReadRope(HyperParameters p, RopePairing pairing, int keyLength, int context)
    {
        int dimensions = p.FindInt("rope.dimension_count", 0, HyperParameters.MaxHeadLength) ?? keyLength;
        if (dimensions > keyLength || dimensions % 2 != 0)
        {
            throw new InvalidDataException($"'{p.Key("rope.dimension_count")}' is {dimensions}, expected an even number up to the head length {keyLength}");
        }

        string? kind = p.FindString("rope.scaling.type");
        RopeScaling scaling = kind switch
        {
            null or "linear" => RopeScaling.Linear,
            "none" => RopeScaling.None,
            "yarn" => RopeScaling.Yarn,
            "longrope" => RopeScaling.LongRope,
            _ => throw new NotSupportedException($"rope scaling '{kind}' is not supported; none, linear, yarn and longrope are"),
        };
        float factor = p.FindFloat("rope.scaling.factor") ?? p.FindFloat("rope.scale_linear") ?? 0;
        if (factor < 0)
        {
            throw new InvalidDataException($"the rope scaling factor is {factor}, expected 0 or more");
        }

        return new RopeShape
        {
            Pairing = pairing,
            Dimensions = dimensions,
            Base = p.Positive("rope.freq_base", 10000),
            Scaling = scaling,
            Factor = factor == 0 || scaling == RopeScaling.None ? 1 : factor,
            OriginalContext = p.FindInt("rope.scaling.original_context_length", 1, int.MaxValue) ?? context,
            AttentionFactor = p.Positive("rope.scaling.attn_factor", 1),
            BetaFast = p.Positive("rope.scaling.yarn_beta_fast", 32),
            BetaSlow = p.Positive("rope.scaling.yarn_beta_slow", 1),
        };
    }

    private static int HeadLength(int embedding, int heads) => embedding % heads == 0 && embedding / heads <= HyperParameters.MaxHeadLength
        ? embedding / heads
        : throw new InvalidDataException($"an embedding of {embedding} does not divide into {heads} heads of at most {HyperParameters.MaxHeadLength}");
}
