using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>DeepSeek V2 and V3: latent attention, some dense layers first, then many experts with shared ones.</summary>
internal static class DeepSeek2
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = CommonShape.Read(p, RopePairing.Interleaved);
        int? keyLength = p.FindInt("attention.key_length_mla", 1, HyperParameters.MaxHeadLength);
        int? valueLength = p.FindInt("attention.value_length_mla", 1, HyperParameters.MaxHeadLength);
        int rank = p.Int("attention.kv_lora_rank", 1, HyperParameters.MaxWidth);
        int queryRank = p.FindInt("attention.q_lora_rank", 0, HyperParameters.MaxWidth) ?? 0;
        float logMultiplier = (p.FindFloat("rope.scaling.yarn_log_multiplier") ?? 0) * 10;
        int dense = p.FindInt("leading_dense_block_count", 0, HyperParameters.MaxLayers) ?? 0;
        ExpertShape? experts = ReadExperts(p);

        return shape.WithLayers((layer, i) =>
        {
            AttentionShape attention = layer.Attention;
            RopeShape rope = attention.Rope! with { YarnLogMultiplier = logMultiplier };
            int queryLength = keyLength ?? attention.KeyLength;
            var latent = new LatentShape(keyLength is not null, queryRank, rank, rope.Dimensions, queryLength - rope.Dimensions, valueLength ?? attention.ValueLength);
            Check(attention, latent);
            return layer with
            {
                Attention = attention with { Latent = latent, Rope = rope, Scale = Scale(rope, queryLength) },
                FeedForward = experts is not null && i >= dense
                    ? layer.FeedForward with { Length = ExpertKeys.Length(p) ?? layer.FeedForward.Length, Experts = experts }
                    : layer.FeedForward,
            };
        });
    }

    private static ExpertShape? ReadExperts(HyperParameters p)
    {
        if (ExpertKeys.Find(p) is not { } experts)
        {
            return null;
        }

        int length = ExpertKeys.Length(p) ?? throw new InvalidDataException($"the file has no key '{p.Key("expert_feed_forward_length")}'");
        return experts with
        {
            Router = ExpertKeys.Router(p) ?? RouterKind.Softmax,
            Normalise = p.Bool("expert_weights_norm", absent: false),
            SharedLength = length * (p.FindInt("expert_shared_count", 0, HyperParameters.MaxExperts) ?? 0),
        };
    }

    /// <summary>YaRN's flattening squared: it applies to queries and keys, of which only a part rotates.</summary>
    private static float Scale(RopeShape rope, int queryLength)
    {
        double magnitude = rope.AttentionFactor;
        if (rope.Scaling == RopeScaling.Yarn)
        {
            magnitude *= rope.YarnLogMultiplier == 0 ? RopeShape.YarnMagnitude(rope.Factor, 1) : RopeShape.YarnMagnitude(rope.Factor, rope.YarnLogMultiplier);
        }

        return (float)(magnitude * magnitude / Math.Sqrt(queryLength));
    }

    private static void Check(AttentionShape attention, LatentShape latent)
    {
        if (latent.PlainLength < 1)
        {
            throw new InvalidDataException($"a head of {latent.QueryLength} dimensions cannot rotate {latent.RopeLength} of them and keep others");
        }

        (int keys, int values, int heads) = latent.Absorbed ? (latent.KvRank + latent.RopeLength, latent.KvRank, 1) : (latent.QueryLength, latent.ValueLength, attention.Heads);
        if (attention.KeyLength != keys || attention.ValueLength != values || attention.KvHeads != heads)
        {
            throw new InvalidDataException(
                $"the cache has {attention.KvHeads} heads of {attention.KeyLength} and {attention.ValueLength} dimensions, expected {heads} of {keys} and {values}");
        }
    }
}
