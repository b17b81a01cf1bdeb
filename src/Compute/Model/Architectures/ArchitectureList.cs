namespace Lamina.Compute.Model.Architectures;

/// <summary>The architectures that run, by GGUF's <c>general.architecture</c>. Each is one file that states what differs from the common shape.</summary>
internal static class ArchitectureList
{
    private static readonly Dictionary<string, Func<HyperParameters, ModelShape>> Readers = new(StringComparer.Ordinal)
    {
        ["arcee"] = SquaredRelu.ReadArcee,
        ["baichuan"] = LinearBias.ReadBaichuan,
        ["bailingmoe"] = DeepSeek.ReadBailing,
        ["bailingmoe2"] = DeepSeek.ReadBailing2,
        ["bert"] = Bert.Read,
        ["bloom"] = LinearBias.ReadBloom,
        ["chatglm"] = Glm.ReadChat,
        ["codeshell"] = GptNeoX.ReadCodeShell,
        ["cohere2"] = Cohere.Read2,
        ["command-r"] = Cohere.ReadCommandR,
        ["dbrx"] = Dbrx.Read,
        ["deepseek"] = DeepSeek.Read,
        ["deepseek2"] = DeepSeek2.Read,
        ["dots1"] = DeepSeek.ReadDots,
        ["ernie4_5"] = Llama.Read,
        ["ernie4_5-moe"] = Ernie.ReadExperts,
        ["exaone"] = Exaone.Read3,
        ["exaone4"] = Exaone.Read4,
        ["falcon"] = Falcon.Read,
        ["gemma"] = Gemma.Read,
        ["gemma2"] = Gemma.Read2,
        ["gemma3"] = Gemma.Read3,
        ["glm4"] = Glm.Read4,
        ["gpt-oss"] = GptOss.Read,
        ["gpt2"] = Gpt2.Read,
        ["gptneox"] = GptNeoX.Read,
        ["granite"] = Granite.Read,
        ["granitemoe"] = Granite.Read,
        ["hunyuan-dense"] = HunYuan.Read,
        ["hunyuan-moe"] = HunYuan.ReadExperts,
        ["internlm2"] = Llama.Read,
        ["jais"] = LinearBias.ReadJais,
        ["llama"] = Llama.Read,
        ["minicpm"] = MiniCpm.Read,
        ["mistral3"] = Mistral3.Read,
        ["mpt"] = LinearBias.ReadMpt,
        ["nemotron"] = SquaredRelu.ReadNemotron,
        ["nomic-bert"] = Bert.ReadNomic,
        ["olmo"] = Olmo.Read,
        ["olmo2"] = Olmo2.Read,
        ["olmoe"] = Olmo.ReadExperts,
        ["orion"] = Orion.Read,
        ["pangu-embedded"] = Qwen.Read2,
        ["phi2"] = Phi.Read2,
        ["phi3"] = Phi.Read3,
        ["qwen"] = Qwen.Read1,
        ["qwen2"] = Qwen.Read2,
        ["qwen2moe"] = Qwen.Read2Experts,
        ["qwen3"] = Qwen.Read3,
        ["qwen3moe"] = Qwen.Read3Experts,
        ["refact"] = LinearBias.ReadRefact,
        ["seed_oss"] = SeedOss.Read,
        ["smollm3"] = SmolLm3.Read,
        ["stablelm"] = StableLm.Read,
        ["starcoder"] = Gpt2.Read,
        ["starcoder2"] = Starcoder2.Read,
        ["xverse"] = Llama.Read,
    };

    public static IReadOnlyCollection<string> Names => Readers.Keys;

    public static ModelShape Read(string architecture, HyperParameters parameters)
    {
        if (!Readers.TryGetValue(architecture, out Func<HyperParameters, ModelShape>? read))
        {
            throw new NotSupportedException($"architecture '{architecture}' is not supported; {string.Join(", ", Readers.Keys.Order(StringComparer.Ordinal))} are");
        }

        ModelShape shape = read(parameters);
        for (int i = 0; i < shape.LayerCount; i++)
        {
            if (shape.Layers[i].Attention is { AlibiBias: > 0, Rope: not null })
            {
                throw new NotSupportedException($"attention with linear biases ('{parameters.Key("attention.max_alibi_bias")}') is not supported beside rotated positions");
            }

            if (shape.Layers[i].FeedForward.Length < 1)
            {
                throw new InvalidDataException($"layer {i} has a feed-forward length of {shape.Layers[i].FeedForward.Length}, expected 1 or more");
            }
        }

        return shape;
    }
}
