namespace Lamina.Coordinator;

/// <summary>A low-rank adapter (LoRA) beside a model.</summary>
public sealed record AdapterOptions
{
    /// <summary>Name that requests use.</summary>
    public required string Name { get; init; }

    /// <summary>GGUF file to import, made for the model's architecture.</summary>
    public required string Path { get; init; }

    /// <summary>Ids of the API keys that may use it; empty = all of the tenant's.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];
}
