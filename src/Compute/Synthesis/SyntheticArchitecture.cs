using Lamina.Compute.Gguf;

namespace Lamina.Compute.Synthesis;

/// <summary>What a made-up model of one architecture says in its metadata, and which optional tensors it has.</summary>
internal sealed record SyntheticArchitecture
{
    public required string Name { get; init; }

    /// <summary>Writes the keys that differ from <see cref="Common"/>.</summary>
    public Action<GgufMetadataBuilder, SyntheticShape> Keys { get; init; } = static (_, _) => { };

    /// <summary>True for the tensors that this architecture has beyond those that its shape requires.</summary>
    public Func<string, bool> Optional { get; init; } = static _ => false;

    public static IReadOnlyList<SyntheticArchitecture> All { get; } =
    [
        new() { Name = "llama" },
    ];

    /// <summary>Throws <see cref="ArgumentException"/> listing the names when there is no such architecture.</summary>
    public static SyntheticArchitecture Named(string name) => All.FirstOrDefault(architecture => architecture.Name == name)
        ?? throw new ArgumentException($"models of architecture '{name}' cannot be made up; there are {string.Join(", ", All.Select(architecture => architecture.Name))}");

    public GgufMetadataBuilder Describe(SyntheticShape shape)
    {
        GgufMetadataBuilder metadata = Common(Name, shape);
        Keys(metadata, shape);
        SyntheticVocabulary.Write(metadata, shape.Vocabulary);
        return metadata;
    }

    private static GgufMetadataBuilder Common(string name, SyntheticShape shape) => new GgufMetadataBuilder()
        .Set("general.architecture", name)
        .Set("general.name", $"synthetic {shape.Name}")
        .Set($"{name}.block_count", shape.Layers)
        .Set($"{name}.context_length", shape.Context)
        .Set($"{name}.embedding_length", shape.Embedding)
        .Set($"{name}.feed_forward_length", shape.FeedForward)
        .Set($"{name}.attention.head_count", shape.Heads)
        .Set($"{name}.attention.head_count_kv", shape.KvHeads)
        .Set($"{name}.attention.layer_norm_rms_epsilon", 1e-5f)
        .Set($"{name}.rope.dimension_count", shape.HeadLength)
        .Set($"{name}.rope.freq_base", shape.RopeBase)
        .Set($"{name}.vocab_size", shape.Vocabulary);
}
