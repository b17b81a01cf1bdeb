using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>Body of <c>POST /v1/embeddings</c>.</summary>
/// <param name="Base64">Values as base64 of little-endian f32 instead of numbers.</param>
/// <param name="Dimensions">The length asked for; null = the model's own.</param>
internal sealed record EmbeddingRequest(string Model, IReadOnlyList<CompletionPrompt> Inputs, bool Base64, int? Dimensions, string? User)
{
    public static EmbeddingRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        string model = JsonFields.Text(fields.TakeRequired("model"), "model", ApiLimits.MaxModelNameLength);
        IReadOnlyList<CompletionPrompt> inputs = CompletionRequest.ReadPrompts(fields.TakeRequired("input"), "input", ApiLimits.MaxEmbeddings);
        if (inputs.Any(input => input.Text?.Length == 0))
        {
            throw ApiError.InvalidValue("input", "'input' holds an empty text").AsException();
        }

        bool base64 = fields.TakeString("encoding_format", ApiLimits.MaxNameLength) switch
        {
            null or "float" => false,
            "base64" => true,
            _ => throw ApiError.InvalidValue("encoding_format", "'encoding_format' must be float or base64").AsException(),
        };
        var request = new EmbeddingRequest(model, inputs, base64, (int?)fields.TakeInteger("dimensions", 1, ApiLimits.MaxTokens), GenerationOptions.ReadUser(fields));
        fields.RefuseOthers();
        return request;
    }
}
