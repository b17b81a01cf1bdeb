namespace Lamina.Coordinator.Api;

/// <summary>Bounds of what a request may ask for.</summary>
public static class ApiLimits
{
    public const int MaxBodyBytes = 4 << 20;
    public const int MaxJsonDepth = 32;
    public const int MaxMessages = 1024;
    public const int MaxContentParts = 256;
    public const int MaxStops = 4;
    public const int MaxStopLength = 64;
    public const int MaxChoices = 8;

    /// <summary>Prompts of one /v1/completions request, and prompts times <c>n</c>.</summary>
    public const int MaxPrompts = 32;

    /// <summary>Texts of one /v1/embeddings request, as OpenAI has it; and documents of one /v1/rerank request.</summary>
    public const int MaxEmbeddings = 2048;
    public const int MaxDocuments = 1024;

    public const int MaxTopLogProbs = 20;
    public const int MaxTokens = 1 << 20;
    public const int MaxTopK = 1 << 20;
    public const int MaxLogitBiases = 1024;
    public const int MaxTools = 128;
    public const int MaxGrammarChoices = 4096;
    public const int MaxUserLength = 128;
    public const int MaxNameLength = 64;
    public const int MaxModelNameLength = 256;
}
