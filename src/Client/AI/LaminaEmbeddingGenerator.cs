using Microsoft.Extensions.AI;

namespace Lamina.Client;

/// <summary>A <see cref="LaminaClient"/> as <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>.</summary>
internal sealed class LaminaEmbeddingGenerator(LaminaClient client, string? model) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata _metadata = new("lamina", client.Options.Endpoint, model, null);

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        var request = new EmbeddingRequest
        {
            Model = options?.ModelId ?? model ?? throw new InvalidOperationException("no model was named: give one to AsEmbeddingGenerator or in EmbeddingGenerationOptions.ModelId"),
            Input = [.. values],
            Dimensions = options?.Dimensions,
        };
        if (request.Input.Count == 0)
        {
            return [];
        }

        EmbeddingList list = await client.EmbedAsync(request, cancellationToken).ConfigureAwait(false);
        if (list.Data.Count != request.Input.Count)
        {
            throw new LaminaContractException($"the server answered {request.Input.Count} texts with {list.Data.Count} vectors");
        }

        return new GeneratedEmbeddings<Embedding<float>>(list.Data.OrderBy(vector => vector.Index).Select(vector => new Embedding<float>(vector.Embedding) { ModelId = list.Model }))
        {
            Usage = list.Usage is { } usage ? ChatMapping.Usage(usage) : null,
        };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata
        : serviceType == typeof(LaminaClient) ? client
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    /// <summary>Nothing of its own: the client belongs to whoever made it.</summary>
    public void Dispose()
    {
    }
}
