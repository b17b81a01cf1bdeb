namespace Lamina.Compute.Synthesis;

/// <summary>The architectures that can be made up, with the windows and ranks small enough that short texts reach them.</summary>
internal static class SyntheticArchitectures
{
    private const int Window = 32;
    private const int OriginalContext = 64;
    private static readonly string[] PhiControls = ["<unk>", "<s>", "</s>", "<|endoftext|>"];

    public static IReadOnlyList<SyntheticArchitecture> All { get; } =
    [
        new("llama"),
        new("llama-yarn") { Architecture = "llama", Keys = Yarn },
        new("mixtral") { Architecture = "llama", Keys = keys => Experts(keys) },
        new("qwen2") { Optional = QueryKeyValueBias },
        new("qwen2moe") { Keys = keys => Experts(keys).Set("expert_shared_feed_forward_length", keys.Shape.FeedForward), Optional = QueryKeyValueBias },
        new("qwen3"),
        new("qwen3moe") { Keys = keys => Experts(keys) },
        new("gemma") { AlwaysTied = true },
        new("gemma2") { AlwaysTied = true, Keys = keys => keys.Set("attention.sliding_window", Window).Set("attn_logit_softcapping", 50f).Set("final_logit_softcapping", 30f) },
        new("gemma3")
        {
            AlwaysTied = true,
            Keys = keys => keys.Set("attention.sliding_window", Window).Set("rope.freq_base", 1e6f).Set("rope.scaling.type", "linear").Set("rope.scaling.factor", 8f),
        },
        new("phi2") { Keys = HalfRotation, Optional = name => name == "output.bias" || FusedQueryKeyValue(name) || AnyBias(name) },
        new("phi3") { Controls = PhiControls, Optional = FusedQueryKeyValue },
        new("phi3-longrope")
        {
            Architecture = "phi3",
            Controls = PhiControls,
            Keys = keys => keys.Set("rope.scaling.type", "longrope").Set("rope.scaling.attn_factor", 1.19f).Set("rope.scaling.original_context_length", OriginalContext),
            Optional = name => FusedQueryKeyValue(name) || name.StartsWith("rope_factors", StringComparison.Ordinal),
        },
        new("olmo2"),
        new("starcoder2") { Optional = AnyBias },
        new("stablelm") { Keys = HalfRotation, Optional = name => NormBias(name) || name.EndsWith("ffn_norm.weight", StringComparison.Ordinal) },
        new("command-r") { AlwaysTied = true, Keys = keys => keys.Set("logit_scale", 0.25f) },
        new("cohere2") { AlwaysTied = true, Keys = keys => keys.Set("logit_scale", 0.25f).Set("attention.sliding_window", Window) },
        new("granite") { Keys = keys => GraniteFactors(keys) },
        new("granitemoe") { Keys = keys => Experts(GraniteFactors(keys)).Set("expert_shared_feed_forward_length", keys.Shape.FeedForward / 2) },
        new("deepseek2") { Keys = keys => Latent(keys) },
        new("deepseek2-lite") { Architecture = "deepseek2", Keys = LatentLite },
        new("gpt-oss") { Keys = keys => Experts(keys).Set("attention.sliding_window", Window), Optional = GptOssBias },
        new("gpt2") { Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("falcon") { Keys = keys => keys.Set("attention.head_count_kv", 1), Optional = name => FusedQueryKeyValue(name) || NormBias(name) },
        new("falcon-40b")
        {
            Architecture = "falcon",
            Optional = name => FusedQueryKeyValue(name) || NormBias(name) || name.Contains("attn_norm_2", StringComparison.Ordinal),
        },
        new("internlm2"),
        new("xverse"),
        new("orion") { Optional = NormBias },
        new("baichuan") { Layers = 32 },
        new("baichuan-13b") { Architecture = "baichuan", Layers = 40 },
        new("exaone"),
        new("exaone4"),
        new("exaone4-windows") { Architecture = "exaone4", Layers = 64, Keys = keys => keys.Set("attention.sliding_window", Window) },
        new("minicpm") { AlwaysTied = true },
        new("seed_oss") { Optional = QueryKeyValueBias },
        new("glm4") { Keys = HalfRotation, Optional = QueryKeyValueBias },
        new("chatglm") { Keys = HalfRotation, Optional = name => FusedQueryKeyValue(name) || name.EndsWith("attn_qkv.bias", StringComparison.Ordinal) },
        new("ernie4_5"),
        new("ernie4_5-moe") { Keys = keys => SharedExperts(keys).Set("interleave_moe_layer_step", 1).Set("expert_shared_feed_forward_length", keys.Shape.FeedForward), Optional = SelectionBias },
        new("smollm3"),
        new("arcee"),
        new("nemotron") { Keys = HalfRotation, Optional = NormBias },
        new("gptneox") { Keys = keys => { HalfRotation(keys); keys.Set("use_parallel_residual", true); }, Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("gptneox-sequential") { Architecture = "gptneox", Keys = keys => { HalfRotation(keys); keys.Set("use_parallel_residual", false); }, Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("starcoder") { Keys = keys => keys.Set("attention.head_count_kv", 1), Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("codeshell") { Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("qwen") { Keys = keys => keys.Set("attention.head_count_kv", keys.Shape.Heads), Optional = name => FusedQueryKeyValue(name) || name.EndsWith("attn_qkv.bias", StringComparison.Ordinal) },
        new("olmo") { Keys = keys => keys.Set("attention.clamp_kqv", 1.5f) },
        new("olmoe") { Keys = keys => Experts(keys).Set("attention.head_count_kv", keys.Shape.Heads) },
        new("deepseek") { Keys = keys => SharedExperts(keys) },
        new("bailingmoe") { Keys = keys => SharedExperts(keys).Set("leading_dense_block_count", 0).Set("expert_weights_norm", true) },
        new("bailingmoe2") { Keys = keys => SharedExperts(keys).Set("expert_gating_func", 2).Set("expert_weights_norm", true).Set("expert_shared_feed_forward_length", keys.Shape.FeedForward), Optional = name => FusedQueryKeyValue(name) || SelectionBias(name) },
        new("dots1") { Keys = keys => SharedExperts(keys).Set("attention.head_count_kv", keys.Shape.Heads).Set("expert_gating_func", 2).Set("expert_weights_norm", true), Optional = SelectionBias },
        new("hunyuan-dense"),
        new("hunyuan-moe") { Keys = keys => Experts(keys).Set("expert_shared_feed_forward_length", keys.Shape.FeedForward / 2) },
        new("mistral3") { Keys = keys => keys.Set("attention.temperature_scale", 0.5f).Set("rope.scaling.original_context_length", OriginalContext).Set("rope.scaling.type", "yarn").Set("rope.scaling.factor", 4f) },
        new("dbrx") { Keys = keys => Experts(keys).Set("attention.clamp_kqv", 1.5f), Optional = FusedQueryKeyValue },
        new("pangu-embedded") { Optional = name => QueryKeyValueBias(name) || name.EndsWith("attn_output.bias", StringComparison.Ordinal) },
        new("bloom") { Keys = keys => keys.Set("attention.head_count_kv", keys.Shape.Heads), Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("mpt") { Keys = keys => keys.Set("attention.max_alibi_bias", 8f).Set("attention.clamp_kqv", 1.5f), Optional = FusedQueryKeyValue },
        new("refact"),
        new("jais") { Keys = keys => keys.Set("attention.max_alibi_bias", 8f).Set("attention.head_count_kv", keys.Shape.Heads), Optional = name => FusedQueryKeyValue(name) || AnyBias(name) },
        new("bert") { IsEncoder = true, AlwaysTied = true, Keys = Encoder, Optional = AnyBias },
        new("nomic-bert") { IsEncoder = true, AlwaysTied = true, Keys = Encoder, Optional = name => FusedQueryKeyValue(name) || NormBias(name) },
    ];

    private static ArchitectureKeys Experts(ArchitectureKeys keys) => keys
        .Set("expert_count", 8)
        .Set("expert_used_count", 2)
        .Set("expert_feed_forward_length", keys.Shape.FeedForward);

    /// <summary>One dense layer first; one expert that every row passes.</summary>
    private static ArchitectureKeys SharedExperts(ArchitectureKeys keys) => Experts(keys)
        .Set("leading_dense_block_count", 1)
        .Set("expert_shared_count", 1)
        .Set("expert_weights_scale", 1f);

    private static bool SelectionBias(string name) => name.EndsWith("exp_probs_b.bias", StringComparison.Ordinal);

    private static void Yarn(ArchitectureKeys keys) => keys
        .Set("rope.scaling.type", "yarn")
        .Set("rope.scaling.factor", 4f)
        .Set("rope.scaling.original_context_length", OriginalContext);

    /// <summary>Every position sees every other; the embedding of a text is the mean of its rows.</summary>
    private static void Encoder(ArchitectureKeys keys) => keys.Set("attention.causal", false).Set("pooling_type", 1).SetTokenTypes(2).Set("attention.head_count_kv", keys.Shape.Heads);

    private static void HalfRotation(ArchitectureKeys keys) => keys.Set("rope.dimension_count", keys.Shape.HeadLength / 2);

    private static ArchitectureKeys GraniteFactors(ArchitectureKeys keys) => keys
        .Set("embedding_scale", 2f)
        .Set("residual_scale", 0.5f)
        .Set("attention.scale", 0.125f)
        .Set("logit_scale", 2f);

    /// <summary>Half of a head rotates; the cache's one head holds the latent row and the rotated part.</summary>
    private static ArchitectureKeys Latent(ArchitectureKeys keys)
    {
        int head = keys.Shape.HeadLength;
        return Experts(keys)
            .Set("leading_dense_block_count", 1)
            .Set("expert_shared_count", 1)
            .Set("expert_weights_scale", 2.5f)
            .Set("expert_weights_norm", true)
            .Set("expert_gating_func", 2)
            .Set("attention.q_lora_rank", 2 * head)
            .Set("attention.kv_lora_rank", head)
            .Set("rope.dimension_count", head / 2)
            .Set("attention.head_count_kv", 1)
            .Set("attention.key_length", head + (head / 2))
            .Set("attention.value_length", head)
            .Set("attention.key_length_mla", head)
            .Set("attention.value_length_mla", head);
    }

    /// <summary>No rank for queries, softmax routing, YaRN with DeepSeek's multiplier.</summary>
    private static void LatentLite(ArchitectureKeys keys)
    {
        Yarn(Latent(keys).Set("attention.q_lora_rank", 0).Set("expert_gating_func", 1).Set("expert_weights_norm", false).Set("expert_weights_scale", 1f));
        keys.Set("rope.scaling.yarn_log_multiplier", 0.0707f);
    }

    private static bool FusedQueryKeyValue(string name) => name.EndsWith("attn_qkv.weight", StringComparison.Ordinal);

    private static bool QueryKeyValueBias(string name) => name.EndsWith("attn_q.bias", StringComparison.Ordinal) || name.EndsWith("attn_k.bias", StringComparison.Ordinal) || name.EndsWith("attn_v.bias", StringComparison.Ordinal);

    private static bool AnyBias(string name) => name.EndsWith(".bias", StringComparison.Ordinal) && name != "output.bias" && !name.Contains("attn_norm_2", StringComparison.Ordinal);

    private static bool NormBias(string name) => name.EndsWith("norm.bias", StringComparison.Ordinal);

    private static bool GptOssBias(string name) => AnyBias(name) && !NormBias(name) && !name.Contains("exp_probs", StringComparison.Ordinal);
}
