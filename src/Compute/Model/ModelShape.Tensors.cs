namespace Lamina.Compute.Model;

public sealed partial record ModelShape
{
    /// <summary>Names of the tensors that a stage holding <paramref name="layers"/> needs.</summary>
    public IReadOnlyList<string> TensorNames(LayerRange layers, Func<string, bool> exists) =>
        [.. Tensors(layers, exists).Where(spec => spec.Required || exists(spec.Name)).Select(spec => spec.Name).Distinct()];

    /// <summary>Names in <paramref name="names"/> that no stage would read: the file holds something this shape does not know.</summary>
    public IReadOnlyList<string> UnknownTensors(IEnumerable<string> names)
    {
        var present = new HashSet<string>(names, StringComparer.Ordinal);
        var known = Tensors(new LayerRange(0, LayerCount), present.Contains).Select(spec => spec.Name).ToHashSet(StringComparer.Ordinal);
        return [.. present.Where(name => !known.Contains(name)).Order(StringComparer.Ordinal)];
    }

    /// <summary>Every tensor of a stage with the exact dimensions that the metadata implies.</summary>
    internal IEnumerable<TensorSpec> Tensors(LayerRange layers, Func<string, bool> exists)
    {
        bool last = HasLogits && layers.End == LayerCount, tied = !exists("output.weight");
        if (layers.First == 0 || (last && tied))
        {
            yield return TensorSpec.Need("token_embd.weight", EmbeddingLength, VocabularySize);
        }

        if (layers.First == 0 && LearnedPositions)
        {
            yield return TensorSpec.Need("position_embd.weight", EmbeddingLength, ContextLength);
        }

        if (layers.First == 0 && TokenTypes > 0)
        {
            yield return TensorSpec.Need("token_types.weight", EmbeddingLength, TokenTypes);
        }

        if (layers.First == 0 && EmbeddingNorm)
        {
            foreach (TensorSpec spec in NormTensors("token_embd_norm"))
            {
                yield return spec;
            }
        }

        foreach (TensorSpec spec in RopeTensors(exists))
        {
            yield return spec;
        }

        for (int i = layers.First; i < layers.End; i++)
        {
            foreach (TensorSpec spec in LayerTensors(i, exists))
            {
                yield return spec;
            }
        }

        if (last)
        {
            foreach (TensorSpec spec in NormTensors("output_norm"))
            {
                yield return spec;
            }

            yield return TensorSpec.May("output.weight", EmbeddingLength, VocabularySize);
            yield return TensorSpec.May("output.bias", VocabularySize);
        }
    }

    private IEnumerable<TensorSpec> RopeTensors(Func<string, bool> exists)
    {
        if (Layers.Select(layer => layer.Attention.Rope).FirstOrDefault(rope => rope is not null) is not { } rope)
        {
            yield break;
        }

        // Published files may hold the two tensors without naming the scaling.
        if (rope.Scaling == RopeScaling.LongRope || exists("rope_factors_long.weight"))
        {
            yield return TensorSpec.Need("rope_factors_long.weight", rope.Dimensions / 2);
            yield return TensorSpec.Need("rope_factors_short.weight", rope.Dimensions / 2);
        }
        else
        {
            yield return TensorSpec.May("rope_freqs.weight", rope.Dimensions / 2);
        }
    }

    private IEnumerable<TensorSpec> LayerTensors(int index, Func<string, bool> exists)
    {
        LayerShape layer = Layers[index];
        string Name(string part) => $"blk.{index}.{part}";
        var specs = new List<TensorSpec>();
        if (layer.NormBefore)
        {
            specs.AddRange(NormTensors(Name("attn_norm")));
            if (layer.Residual == ResidualForm.Parallel)
            {
                specs.AddRange(NormTensors(Name("attn_norm_2"), required: false));
            }
            else
            {
                specs.AddRange(NormTensors(Name(layer.FeedForwardNorm), required: layer.Residual is ResidualForm.Sequential or ResidualForm.ParallelOwnNorms));
            }
        }

        if (layer.NormStream)
        {
            specs.AddRange(NormTensors(Name("attn_output_norm")));
            specs.AddRange(NormTensors(Name("layer_output_norm")));
        }

        if (layer.NormAfter)
        {
            specs.AddRange(NormTensors(Name("post_attention_norm")));
            specs.AddRange(NormTensors(Name("post_ffw_norm")));
        }

        specs.AddRange(layer.Attention.Latent is { } latent ? LatentTensors(layer.Attention, latent, Name) : QueryKeyValueTensors(layer.Attention, Name, exists));
        specs.AddRange(Linear(Name("attn_output"), layer.Attention.OutputWidth, EmbeddingLength));
        specs.AddRange(FeedForwardTensors(layer.FeedForward, Name, exists));
        return specs;
    }

    private IEnumerable<TensorSpec> QueryKeyValueTensors(AttentionShape attention, Func<string, string> name, Func<string, bool> exists)
    {
        if (exists(name("attn_qkv.weight")))
        {
            foreach (TensorSpec spec in Linear(name("attn_qkv"), EmbeddingLength, attention.QueryWidth + attention.KeyWidth + attention.ValueWidth))
            {
                yield return spec;
            }
        }
        else
        {
            (string, long)[] parts = [("attn_q", attention.QueryWidth), ("attn_k", attention.KeyWidth), ("attn_v", attention.ValueWidth)];
            foreach ((string part, long rows) in parts)
            {
                foreach (TensorSpec spec in Linear(name(part), EmbeddingLength, rows))
                {
                    yield return spec;
                }
            }
        }

        if (attention.HeadNorm != HeadNorm.None)
        {
            foreach ((string part, int heads) in new[] { ("attn_q_norm", attention.Heads), ("attn_k_norm", attention.KvHeads) })
            {
                long[] dimensions = attention.HeadNorm switch
                {
                    HeadNorm.PerHead => [attention.KeyLength],
                    HeadNorm.OwnWeights => [attention.KeyLength, heads],
                    _ => [(long)attention.KeyLength * heads],
                };
                yield return new TensorSpec(name(part + ".weight"), dimensions, Required: !attention.HeadNormOptional);
            }
        }

        if (attention.Sinks)
        {
            yield return TensorSpec.Need(name("attn_sinks.weight"), attention.Heads);
        }
    }

    private IEnumerable<TensorSpec> LatentTensors(AttentionShape attention, LatentShape latent, Func<string, string> name)
    {
        long queryWidth = (long)attention.Heads * latent.QueryLength;
        if (latent.QueryRank > 0)
        {
            yield return TensorSpec.Need(name("attn_q_a.weight"), EmbeddingLength, latent.QueryRank);
            yield return TensorSpec.Need(name("attn_q_a_norm.weight"), latent.QueryRank);
            yield return TensorSpec.Need(name("attn_q_b.weight"), latent.QueryRank, queryWidth);
        }
        else
        {
            yield return TensorSpec.Need(name("attn_q.weight"), EmbeddingLength, queryWidth);
        }

        yield return TensorSpec.Need(name("attn_kv_a_mqa.weight"), EmbeddingLength, latent.KvRank + latent.RopeLength);
        yield return TensorSpec.Need(name("attn_kv_a_norm.weight"), latent.KvRank);
        if (latent.Absorbed)
        {
            yield return TensorSpec.Need(name("attn_k_b.weight"), latent.PlainLength, latent.KvRank, attention.Heads);
            yield return TensorSpec.Need(name("attn_v_b.weight"), latent.KvRank, latent.ValueLength, attention.Heads);
        }
        else
        {
            yield return TensorSpec.Need(name("attn_kv_b.weight"), latent.KvRank, (long)attention.Heads * (latent.PlainLength + latent.ValueLength));
        }
    }

    private IEnumerable<TensorSpec> FeedForwardTensors(FeedForwardShape block, Func<string, string> name, Func<string, bool> exists)
    {
        if (block.Experts is { } experts)
        {
            return ExpertTensors(block, experts, name, exists);
        }

        return DenseTensors(block, block.Length, name, "");
    }

    private IEnumerable<TensorSpec> DenseTensors(FeedForwardShape block, long length, Func<string, string> name, string suffix)
    {
        IEnumerable<TensorSpec> gate = block.Gated && !block.GateInUp ? Linear(name("ffn_gate" + suffix), EmbeddingLength, length) : [];
        return gate
            .Concat(Linear(name("ffn_up" + suffix), EmbeddingLength, block.GateInUp ? 2 * length : length))
            .Concat(Linear(name("ffn_down" + suffix), length, EmbeddingLength));
    }

    private IEnumerable<TensorSpec> ExpertTensors(FeedForwardShape block, ExpertShape experts, Func<string, string> name, Func<string, bool> exists)
    {
        long count = experts.Count;
        foreach (TensorSpec spec in Linear(name("ffn_gate_inp"), EmbeddingLength, count))
        {
            yield return spec;
        }

        yield return TensorSpec.May(name("exp_probs_b.bias"), count);
        foreach (TensorSpec spec in exists(name("ffn_up.0.weight")) ? SeparateExperts(block, experts.Count, name) : StackedExperts(block, count, name, exists))
        {
            yield return spec;
        }

        if (experts.SharedLength > 0)
        {
            foreach (TensorSpec spec in DenseTensors(block, experts.SharedLength, name, "_shexp"))
            {
                yield return spec;
            }
        }

        if (experts.SharedGate)
        {
            yield return TensorSpec.Need(name("ffn_gate_inp_shexp.weight"), EmbeddingLength);
        }
    }

    /// <summary>As files have it since 2024: all experts of a layer in one tensor, gate and up together in the newest.</summary>
    private IEnumerable<TensorSpec> StackedExperts(FeedForwardShape block, long count, Func<string, string> name, Func<string, bool> exists)
    {
        (string Part, long Columns, long Rows)[] parts = exists(name("ffn_gate_up_exps.weight"))
            ? [("ffn_gate_up_exps", EmbeddingLength, 2L * block.Length), ("ffn_down_exps", block.Length, EmbeddingLength)]
            : [("ffn_gate_exps", EmbeddingLength, block.Length), ("ffn_up_exps", EmbeddingLength, block.Length), ("ffn_down_exps", block.Length, EmbeddingLength)];
        foreach ((string part, long columns, long rows) in parts)
        {
            yield return TensorSpec.Need(name(part + ".weight"), columns, rows, count);
            yield return TensorSpec.May(name(part + ".bias"), rows, count);
        }
    }

    /// <summary>As older files have it: a tensor for each expert.</summary>
    private IEnumerable<TensorSpec> SeparateExperts(FeedForwardShape block, int count, Func<string, string> name)
    {
        for (int e = 0; e < count; e++)
        {
            yield return TensorSpec.Need(name($"ffn_gate.{e}.weight"), EmbeddingLength, block.Length);
            yield return TensorSpec.Need(name($"ffn_up.{e}.weight"), EmbeddingLength, block.Length);
            yield return TensorSpec.Need(name($"ffn_down.{e}.weight"), block.Length, EmbeddingLength);
        }
    }

    private IEnumerable<TensorSpec> NormTensors(string name, bool required = true)
    {
        if (Norm == NormKind.PlainLayer)
        {
            yield break;
        }

        yield return new TensorSpec(name + ".weight", [EmbeddingLength], required);
        if (Norm == NormKind.Layer)
        {
            yield return TensorSpec.May(name + ".bias", EmbeddingLength);
        }
    }

    private static IEnumerable<TensorSpec> Linear(string name, long columns, long rows) =>
        [TensorSpec.Need(name + ".weight", columns, rows), TensorSpec.May(name + ".bias", rows)];
}
