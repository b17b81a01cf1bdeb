using Microsoft.Extensions.AI;

namespace Lamina.Client;

/// <summary>A <see cref="LaminaClient"/> under the interfaces of Microsoft.Extensions.AI.</summary>
public static class LaminaClientExtensions
{
    /// <summary>The client as <see cref="IChatClient"/>. Disposing of the result leaves the client open.</summary>
    /// <param name="model">The model asked when <see cref="ChatOptions.ModelId"/> names none.</param>
    public static IChatClient AsChatClient(this LaminaClient client, string? model = null) => new LaminaChatClient(client, model);

    /// <summary>The client as an embedding generator. Disposing of the result leaves the client open.</summary>
    /// <param name="model">The model asked when <see cref="EmbeddingGenerationOptions.ModelId"/> names none.</param>
    public static IEmbeddingGenerator<string, Embedding<float>> AsEmbeddingGenerator(this LaminaClient client, string? model = null) => new LaminaEmbeddingGenerator(client, model);
}
