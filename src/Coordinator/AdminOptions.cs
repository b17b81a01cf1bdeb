namespace Lamina.Coordinator;

/// <summary>The listener for administration, apart from the API. Without the section nothing listens.</summary>
public sealed record AdminOptions
{
    /// <summary>ADDRESS:PORT; port 0 picks a free one.</summary>
    public required string Listen { get; init; }
}
