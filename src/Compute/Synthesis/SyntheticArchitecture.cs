using Lamina.Compute.Gguf;

namespace Lamina.Compute.Synthesis;

/// <summary>What a made-up model of one architecture says in its metadata, and which optional tensors it has.</summary>
/// <param name="Name">Name on the command line: the architecture, or a variant of it.</param>
internal sealed record SyntheticArchitecture(string Name)
{
    /// <summary><c>general.architecture</c>.</summary>
    public string Architecture { get; init; } = Name;

    /// <summary>Writes the keys that differ from the common ones.</summary>
    public Action<ArchitectureKeys> Keys { get; init; } = static _ => { };

    /// <summary>True for the tensors that this architecture has beyond those that its shape requires; output matrix and rotation factors are the shape's affair.</summary>
    public Func<string, bool> Optional { get; init; } = static _ => false;

    /// <summary>Tokens that readers of this architecture look for by name.</summary>
    public string[] Controls { get; init; } = [];

    /// <summary>Never has an output matrix of its own.</summary>
    public bool AlwaysTied { get; init; }

    /// <summary>Where the number of layers tells readers which model it is.</summary>
    public int? Layers { get; init; }

    /// <summary>Gives embeddings instead of logits.</summary>
    public bool IsEncoder { get; init; }

    /// <summary>Throws <see cref="ArgumentException"/> listing the names when there is no such architecture.</summary>
    public static SyntheticArchitecture Named(string name) => SyntheticArchitectures.All.FirstOrDefault(architecture => architecture.Name == name)
        ?? throw new ArgumentException($"models of architecture '{name}' cannot be made up; there are {string.Join(", ", SyntheticArchitectures.All.Select(architecture => architecture.Name))}");

    public GgufMetadataBuilder Describe(SyntheticShape shape)
    {
        var metadata = new GgufMetadataBuilder();
        metadata.Set("general.architecture", Architecture).Set("general.name", $"synthetic {Name} {shape.Name}");
        var keys = new ArchitectureKeys(metadata, Architecture, shape);
        keys.Set("block_count", shape.Layers)
            .Set("context_length", shape.Context)
            .Set("embedding_length", shape.Embedding)
            .Set("feed_forward_length", shape.FeedForward)
            .Set("attention.head_count", shape.Heads)
            .Set("attention.head_count_kv", shape.KvHeads)
            .Set("attention.layer_norm_rms_epsilon", 1e-5f)
            .Set("attention.layer_norm_epsilon", 1e-5f)
            .Set("rope.dimension_count", shape.HeadLength)
            .Set("rope.freq_base", shape.RopeBase)
            .Set("vocab_size", shape.Vocabulary);
        Keys(keys);
        SyntheticVocabulary.Write(metadata, shape.Vocabulary, Controls);
        return metadata;
    }
}

/// <summary>Writes metadata keys of one architecture; a later value replaces an earlier one.</summary>
internal sealed class ArchitectureKeys(GgufMetadataBuilder metadata, string architecture, SyntheticShape shape)
{
    public SyntheticShape Shape => shape;

    public ArchitectureKeys Set(string name, int value)
    {
        metadata.Set($"{architecture}.{name}", value);
        return this;
    }

    public ArchitectureKeys Set(string name, float value)
    {
        metadata.Set($"{architecture}.{name}", value);
        return this;
    }

    public ArchitectureKeys Set(string name, string value)
    {
        metadata.Set($"{architecture}.{name}", value);
        return this;
    }

    /// <summary>Sets the number of segment kinds, which stands among the tokenizer's keys.</summary>
    public ArchitectureKeys SetTokenTypes(int count)
    {
        metadata.Set("tokenizer.ggml.token_type_count", count);
        return this;
    }

    public ArchitectureKeys Set(string name, bool value)
    {
        metadata.Set($"{architecture}.{name}", value);
        return this;
    }
}
