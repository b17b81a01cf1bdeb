using Lamina.Compute.Gguf;
using Lamina.Compute.Synthesis;

namespace Lamina.Compute.Tests.Model;

/// <summary>A small model of an architecture: what its metadata says beyond the common keys, and which optional tensors it has.</summary>
internal sealed record ArchitectureCase(string Architecture, string Variant, Action<GgufMetadataBuilder> Keys, Func<string, bool> Optional)
{
    public override string ToString() => Variant.Length == 0 ? Architecture : $"{Architecture}-{Variant}";
}

internal static class ArchitectureCases
{
    private static readonly Func<string, bool> Nothing = _ => false;

    public static IReadOnlyList<ArchitectureCase> All { get; } =
    [
        new("llama", "", _ => { }, Nothing),
        new("llama", "experts", m => Experts(m, "llama"), Nothing),
        new("llama", "yarn", m => m.Set("llama.rope.scaling.type", "yarn").Set("llama.rope.scaling.factor", 4f).Set("llama.rope.scaling.original_context_length", 64), Nothing),
        new("llama", "linear", m => m.Set("llama.rope.scaling.type", "linear").Set("llama.rope.scaling.factor", 2f), Nothing),
        new("llama", "factors", _ => { }, name => name == "rope_freqs.weight"),
        new("llama", "biases", _ => { }, name => name.Contains("attn_") && name.EndsWith(".bias") && !name.Contains("norm")),
        new("qwen2", "", _ => { }, name => IsBias(name, "attn_q", "attn_k", "attn_v")),
        new("qwen2moe", "", m => Experts(m, "qwen2moe").Set("qwen2moe.expert_feed_forward_length", 32).Set("qwen2moe.expert_shared_feed_forward_length", 48), name => name == "output.weight" || IsBias(name, "attn_q", "attn_k", "attn_v")),
        new("qwen3", "", _ => { }, Nothing),
        new("qwen3moe", "", m => Experts(m, "qwen3moe").Set("qwen3moe.expert_feed_forward_length", 32), Nothing),
        new("gemma", "", m => m.Set("gemma.attention.key_length", 24).Set("gemma.attention.value_length", 24), Nothing),
        new("gemma2", "", m => m.Set("gemma2.attention.sliding_window", 8).Set("gemma2.attn_logit_softcapping", 50f).Set("gemma2.final_logit_softcapping", 30f), Nothing),
        new("gemma3", "", m => m.Set("gemma3.attention.sliding_window", 8).Set("gemma3.rope.freq_base", 1e6f).Set("gemma3.rope.scaling.type", "linear").Set("gemma3.rope.scaling.factor", 8f), Nothing),
        new("phi2", "", m => m.Set("phi2.rope.dimension_count", 8), name => name is "output.weight" or "output.bias" || Biases(name)),
        new("phi3", "", _ => { }, name => name.EndsWith("attn_qkv.weight")),
        new("phi3", "longrope", m => m.Set("phi3.rope.scaling.type", "longrope").Set("phi3.rope.scaling.attn_factor", 1.19f).Set("phi3.rope.scaling.original_context_length", 64), name => name.EndsWith("attn_qkv.weight") || name.StartsWith("rope_factors")),
        new("olmo2", "", _ => { }, name => name == "output.weight"),
        new("olmo2", "windows", m => m.Set("olmo2.attention.sliding_window", 8), name => name == "output.weight"),
        new("starcoder2", "", _ => { }, Biases),
        new("stablelm", "", m => m.Set("stablelm.rope.dimension_count", 8), name => name == "output.weight" || name.Contains("ffn_norm") || NormBias(name)),
        new("stablelm", "parallel", m => m.Set("stablelm.rope.dimension_count", 8), name => name == "output.weight" || name.Contains("attn_q_norm") || name.Contains("attn_k_norm") || (NormBias(name) && !name.Contains("ffn_norm"))),
        new("command-r", "", m => m.Set("command-r.logit_scale", 0.25f), Nothing),
        new("cohere2", "", m => m.Set("cohere2.logit_scale", 0.25f).Set("cohere2.attention.sliding_window", 8), Nothing),
        new("granite", "", m => Granite(m, "granite"), Nothing),
        new("granitemoe", "", m => Experts(Granite(m, "granitemoe"), "granitemoe").Set("granitemoe.expert_shared_feed_forward_length", 32), Nothing),
        new("deepseek2", "lite", m => Latent(m, absorbed: false).Set("deepseek2.rope.scaling.type", "yarn").Set("deepseek2.rope.scaling.factor", 4f).Set("deepseek2.rope.scaling.original_context_length", 64).Set("deepseek2.rope.scaling.yarn_log_multiplier", 0.0707f), Nothing),
        new("deepseek2", "absorbed", m => Latent(m, absorbed: true).Set("deepseek2.attention.q_lora_rank", 32).Set("deepseek2.expert_gating_func", 2).Set("deepseek2.expert_weights_norm", true).Set("deepseek2.expert_weights_scale", 2.5f), name => name.EndsWith("exp_probs_b.bias")),
        new("gpt-oss", "", m => Experts(m, "gpt-oss").Set("gpt-oss.expert_feed_forward_length", 32).Set("gpt-oss.attention.sliding_window", 8), name => name == "output.weight" || (name.EndsWith(".bias") && !name.Contains("norm") && !name.Contains("exp_probs") && !name.StartsWith("output"))),
        new("gpt2", "", _ => { }, name => name.EndsWith("attn_qkv.weight") || Biases(name)),
        new("internlm2", "", _ => { }, Nothing),
        new("xverse", "", _ => { }, Nothing),
        new("orion", "", _ => { }, NormBias),
        new("baichuan", "", _ => { }, Nothing),
        new("exaone", "", _ => { }, name => name == "rope_freqs.weight"),
        new("exaone4", "", m => m.Set("exaone4.attention.sliding_window", 8), Nothing),
        new("minicpm", "", _ => { }, Nothing),
        new("seed_oss", "", _ => { }, name => IsBias(name, "attn_q", "attn_k", "attn_v")),
        new("glm4", "", m => m.Set("glm4.rope.dimension_count", 8), Nothing),
        new("chatglm", "", m => m.Set("chatglm.rope.dimension_count", 8), name => name.EndsWith("attn_qkv.weight") || name.EndsWith("attn_qkv.bias")),
        new("ernie4_5", "", _ => { }, Nothing),
        new("ernie4_5-moe", "", m => SharedExperts(m, "ernie4_5-moe"), name => name.EndsWith("exp_probs_b.bias")),
        new("smollm3", "", _ => { }, Nothing),
        new("arcee", "", _ => { }, Nothing),
        new("nemotron", "", m => m.Set("nemotron.rope.dimension_count", 8), NormBias),
        new("gptneox", "", m => m.Set("gptneox.rope.dimension_count", 8), name => name.EndsWith("attn_qkv.weight") || Biases(name)),
        new("gptneox", "sequential", m => m.Set("gptneox.use_parallel_residual", false), Biases),
        new("starcoder", "", m => m.Set("starcoder.attention.head_count_kv", 1), name => name.EndsWith("attn_qkv.weight") || Biases(name)),
        new("codeshell", "", _ => { }, Biases),
        new("qwen", "", _ => { }, name => name.EndsWith("attn_qkv.weight") || name.EndsWith("attn_qkv.bias")),
        new("olmo", "", m => m.Set("olmo.attention.clamp_kqv", 0.5f), Nothing),
        new("olmoe", "", m => Experts(m, "olmoe"), Nothing),
        new("llama", "separate-experts", m => Experts(m, "llama"), name => name.EndsWith("ffn_up.0.weight")),
        new("qwen3moe", "fused-experts", m => Experts(m, "qwen3moe").Set("qwen3moe.expert_feed_forward_length", 32), name => name.EndsWith("ffn_gate_up_exps.weight")),
        new("deepseek", "", m => SharedExperts(m, "deepseek"), Nothing),
        new("bailingmoe", "", m => SharedExperts(m, "bailingmoe"), Nothing),
        new("bailingmoe2", "", m => SharedExperts(m, "bailingmoe2").Set("bailingmoe2.expert_group_count", 4).Set("bailingmoe2.expert_group_used_count", 2), name => name.EndsWith("exp_probs_b.bias")),
        new("dots1", "", m => SharedExperts(m, "dots1"), name => name.EndsWith("exp_probs_b.bias")),
        new("hunyuan-dense", "", _ => { }, Nothing),
        new("hunyuan-moe", "", m => Experts(m, "hunyuan-moe").Set("hunyuan-moe.expert_shared_feed_forward_length", 32), Nothing),
        new("mistral3", "", m => m.Set("mistral3.attention.temperature_scale", 0.5f).Set("mistral3.rope.scaling.original_context_length", 8), Nothing),
        new("dbrx", "", m => Experts(m, "dbrx").Set("dbrx.attention.clamp_kqv", 0.5f), name => name.EndsWith("attn_qkv.weight")),
        new("pangu-embedded", "", _ => { }, Nothing),
        new("bloom", "", m => m.Set("bloom.attention.head_count_kv", 4), name => name.EndsWith("attn_qkv.weight") || Biases(name)),
        new("mpt", "", m => m.Set("mpt.attention.max_alibi_bias", 8f).Set("mpt.attention.clamp_kqv", 0.5f), Nothing),
        new("refact", "", _ => { }, Nothing),
        new("jais", "", m => m.Set("jais.attention.max_alibi_bias", 8f), Biases),
        new("falcon", "", m => m.Set("falcon.attention.head_count_kv", 1), name => name.EndsWith("attn_qkv.weight") || NormBias(name) && !name.Contains("attn_norm_2")),
        new("falcon", "40b", _ => { }, name => name.EndsWith("attn_qkv.weight") || name.Contains("attn_norm_2") || NormBias(name)),
    ];

    /// <summary>Encoders, which give embeddings instead of logits.</summary>
    public static IReadOnlyList<ArchitectureCase> Encoders { get; } =
    [
        new("bert", "", m => m.Set("bert.pooling_type", 1).Set("bert.attention.causal", false).Set("tokenizer.ggml.token_type_count", 2), name => name.EndsWith(".bias")),
        new("nomic-bert", "", m => m.Set("nomic-bert.pooling_type", 1).Set("nomic-bert.attention.causal", false).Set("tokenizer.ggml.token_type_count", 2).Set("nomic-bert.rope.freq_base", 1000f), name => name.EndsWith("attn_qkv.weight") || name.EndsWith("norm.bias")),
    ];

    public static GgufMetadata Metadata(ArchitectureCase test, int layers)
    {
        GgufMetadataBuilder metadata = RandomModel.Llama(layers, test.Architecture);
        SyntheticVocabulary.Write(metadata, SyntheticVocabulary.Smallest);
        metadata.Set($"{test.Architecture}.vocab_size", SyntheticVocabulary.Smallest);
        test.Keys(metadata);
        return metadata.Build();
    }

    private static bool Biases(string name) => name.EndsWith(".bias") && !name.Contains("attn_norm_2") && name != "output.bias";

    private static bool NormBias(string name) => name.EndsWith("norm.bias") || name.EndsWith("norm_2.bias");

    private static bool IsBias(string name, params string[] parts) => parts.Any(part => name.EndsWith(part + ".bias"));

    private static GgufMetadataBuilder Experts(GgufMetadataBuilder metadata, string architecture) =>
        metadata.Set($"{architecture}.expert_count", 8).Set($"{architecture}.expert_used_count", 3);

    private static GgufMetadataBuilder SharedExperts(GgufMetadataBuilder metadata, string architecture) => Experts(metadata, architecture)
        .Set($"{architecture}.leading_dense_block_count", 1)
        .Set($"{architecture}.expert_feed_forward_length", 32)
        .Set($"{architecture}.expert_shared_count", 2)
        .Set($"{architecture}.expert_weights_norm", true);

    private static GgufMetadataBuilder Granite(GgufMetadataBuilder metadata, string architecture) => metadata
        .Set($"{architecture}.embedding_scale", 2f)
        .Set($"{architecture}.residual_scale", 0.3f)
        .Set($"{architecture}.attention.scale", 0.1f)
        .Set($"{architecture}.logit_scale", 3f);

    private static GgufMetadataBuilder Latent(GgufMetadataBuilder metadata, bool absorbed)
    {
        Experts(metadata, "deepseek2")
            .Set("deepseek2.leading_dense_block_count", 1)
            .Set("deepseek2.expert_feed_forward_length", 32)
            .Set("deepseek2.expert_shared_count", 2)
            .Set("deepseek2.expert_weights_scale", 1f)
            .Set("deepseek2.attention.kv_lora_rank", 32)
            .Set("deepseek2.rope.dimension_count", 8);
        return absorbed
            ? metadata
                .Set("deepseek2.attention.head_count_kv", 1)
                .Set("deepseek2.attention.key_length", 40)
                .Set("deepseek2.attention.value_length", 32)
                .Set("deepseek2.attention.key_length_mla", 24)
                .Set("deepseek2.attention.value_length_mla", 16)
            : metadata
                .Set("deepseek2.attention.head_count_kv", 4)
                .Set("deepseek2.attention.key_length", 24)
                .Set("deepseek2.attention.value_length", 16);
    }
}
