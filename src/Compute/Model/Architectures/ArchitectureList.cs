namespace Lamina.Compute.Model.Architectures;

/// <summary>The architectures that run, by GGUF's <c>general.architecture</c>. Each is one file that states what differs from the common shape.</summary>
internal static class ArchitectureList
{
    private static readonly Dictionary<string, Func<HyperParameters, ModelShape>> Readers = new(StringComparer.Ordinal)
    {
        ["bert"] = Bert.Read,
        ["command-r"] = Cohere.ReadCommandR,
        ["cohere2"] = Cohere.Read2,
        ["deepseek2"] = DeepSeek2.Read,
        ["falcon"] = Falcon.Read,
        ["gemma"] = Gemma.Read,
        ["gemma2"] = Gemma.Read2,
        ["gemma3"] = Gemma.Read3,
        ["gpt-oss"] = GptOss.Read,
        ["gpt2"] = Gpt2.Read,
        ["granite"] = Granite.Read,
        ["granitemoe"] = Granite.Read,
        ["llama"] = Llama.Read,
        ["nomic-bert"] = Bert.ReadNomic,
        ["olmo2"] = Olmo2.Read,
        ["phi2"] = Phi.Read2,
        ["phi3"] = Phi.Read3,
        ["qwen2"] = Qwen.Read2,
        ["qwen2moe"] = Qwen.Read2Experts,
        ["qwen3"] = Qwen.Read3,
        ["qwen3moe"] = Qwen.Read3Experts,
        ["stablelm"] = StableLm.Read,
        ["starcoder2"] = Starcoder2.Read,
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
            if (shape.Layers[i].FeedForward.Length < 1)
            {
                throw new InvalidDataException($"layer {i} has a feed-forward length of {shape.Layers[i].FeedForward.Length}, expected 1 or more");
            }
        }

        return shape;
    }
}
