namespace Lamina.Client;

/// <summary>A served model.</summary>
/// <param name="Created">When its file was made, seconds since 1970; 0 while that is not known.</param>
public sealed record ModelInfo(string Id, long Created, string OwnedBy);

internal sealed record ModelList(IReadOnlyList<ModelInfo> Data);

/// <summary>Texts to embed.</summary>
public sealed record EmbeddingRequest
{
    /// <summary>Name of a served model.</summary>
    public string Model { get; init; } = "";

    /// <summary>The texts, at least one.</summary>
    public IReadOnlyList<string> Input { get; init; } = [];

    /// <summary>Length of the vectors asked for; null: the model's own.</summary>
    public int? Dimensions { get; init; }

    /// <summary>The caller's own name for its end user.</summary>
    public string? User { get; init; }
}

/// <summary>One vector per text, in the order of the texts.</summary>
public sealed record EmbeddingList(string Model, IReadOnlyList<EmbeddingVector> Data, TokenUsage? Usage);

/// <summary>The vector of text <paramref name="Index"/>.</summary>
public sealed record EmbeddingVector(int Index, float[] Embedding);

internal sealed record ErrorBody(ErrorFields? Error);

internal sealed record ErrorFields(string? Message, string? Type, string? Param, string? Code);
