namespace Lamina.Compute.Synthesis;

/// <summary>Sizes of a model to make up.</summary>
public sealed record SyntheticShape
{
    public required string Name { get; init; }
    public required int Vocabulary { get; init; }
    public required int Embedding { get; init; }
    public required int Layers { get; init; }
    public required int Heads { get; init; }
    public required int KvHeads { get; init; }
    public required int FeedForward { get; init; }
    public required int Context { get; init; }

    public float RopeBase { get; init; } = 10_000;

    /// <summary>Stretch of the slow rotations, as Llama 3.1 and later have it; 0 = none.</summary>
    public float RopeFactor { get; init; }

    /// <summary>The embedding serves as output matrix.</summary>
    public bool Tied { get; init; }

    public int HeadLength => Embedding / Heads;

    public static IReadOnlyList<SyntheticShape> Presets { get; } =
    [
        new() { Name = "tiny", Vocabulary = 512, Embedding = 256, Layers = 4, Heads = 4, KvHeads = 2, FeedForward = 512, Context = 2048 },
        new() { Name = "deep", Vocabulary = 512, Embedding = 256, Layers = 12, Heads = 4, KvHeads = 2, FeedForward = 512, Context = 2048 },
        new() { Name = "smol-135m", Vocabulary = 49_152, Embedding = 576, Layers = 30, Heads = 9, KvHeads = 3, FeedForward = 1536, Context = 8192, RopeBase = 100_000, Tied = true },
        new()
        {
            Name = "llama-1b", Vocabulary = 128_256, Embedding = 2048, Layers = 16, Heads = 32, KvHeads = 8, FeedForward = 8192, Context = 131_072,
            RopeBase = 500_000, RopeFactor = 32, Tied = true,
        },
        new()
        {
            Name = "llama-3b", Vocabulary = 128_256, Embedding = 3072, Layers = 28, Heads = 24, KvHeads = 8, FeedForward = 8192, Context = 131_072,
            RopeBase = 500_000, RopeFactor = 32, Tied = true,
        },
        new()
        {
            Name = "llama-8b", Vocabulary = 128_256, Embedding = 4096, Layers = 32, Heads = 32, KvHeads = 8, FeedForward = 14_336, Context = 131_072,
            RopeBase = 500_000, RopeFactor = 8,
        },
    ];

    /// <summary>Throws <see cref="ArgumentException"/> listing the names when there is no such preset.</summary>
    public static SyntheticShape Preset(string name) => Presets.FirstOrDefault(shape => shape.Name == name)
        ?? throw new ArgumentException($"shape '{name}' is unknown; there are {string.Join(", ", Presets.Select(shape => shape.Name))}");
}
