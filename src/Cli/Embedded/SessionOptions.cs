namespace Lamina.Cli.Embedded;

/// <summary>What a command that runs a model by itself asks for.</summary>
internal sealed record SessionOptions
{
    public required string ModelPath { get; init; }

    /// <summary>1 runs in this process; more start as many node processes on loopback.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Starts a node process even for one.</summary>
    public bool AsCell { get; init; }

    /// <summary>Per stage; 0 = all cores, shared out among the nodes.</summary>
    public int Threads { get; init; }

    /// <summary>A small model that guesses ahead, or null.</summary>
    public string? DraftPath { get; init; }

    /// <summary>Most tokens a generation guesses ahead; 0 = none.</summary>
    public int DraftTokens { get; init; }

    /// <summary>How keys and values are kept: f16, q8_0 or q4_0.</summary>
    public string KvCacheType { get; init; } = "f16";

    /// <summary>What each node computes on.</summary>
    public IReadOnlyList<string> Devices { get; init; } = ["cpu"];

    /// <summary>Explicit layer ranges, or null.</summary>
    public string? Stages { get; init; }

    /// <summary>Adapter files and their scales; in this process only.</summary>
    public IReadOnlyList<AdapterOption> Adapters { get; init; } = [];

    /// <summary>0 = the model's own, at most <see cref="DefaultContextLimit"/>.</summary>
    public int ContextLength { get; init; }

    /// <summary>Raises the default context where the command needs more.</summary>
    public int ContextAtLeast { get; init; }

    /// <summary>Generations that may hold the whole context at the same time.</summary>
    public int Concurrency { get; init; } = 1;

    public const int DefaultContextLimit = 8192;
}

/// <summary>An adapter file and how strongly it works.</summary>
internal sealed record AdapterOption(string Path, float Scale);

/// <summary>A stage as reports name it; layers are inclusive.</summary>
internal sealed record SessionStage(string Node, int FirstLayer, int LastLayer);
