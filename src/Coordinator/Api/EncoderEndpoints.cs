using System.Text.Json;
using Lamina.Coordinator.Api.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary>
/// <c>POST /v1/embeddings</c> and <c>POST /v1/rerank</c>. Pipelines serve text generation only, so a sound request is refused by its model, in one sentence,
/// and an unsound one by its field.
/// </summary>
internal sealed class EncoderEndpoints(ModelLookup models)
{
    public const string EmbeddingsRoute = "/v1/embeddings";
    public const string RerankRoute = "/v1/rerank";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(EmbeddingsRoute, context => RefuseAsync(context, ReadEmbedding, "gives no embeddings: it is served as a text generator"));
        routes.MapPost(RerankRoute, context => RefuseAsync(context, ReadRerank, "ranks no documents: it is served as a text generator"));
    }

    /// <summary>Checks OpenAI's fields; <c>input</c> has the forms of a completion's prompt.</summary>
    public static void ReadEmbedding(JsonFields fields)
    {
        _ = CompletionRequest.ReadPrompts(fields.TakeRequired("input"), "input");
        string encoding = fields.TakeString("encoding_format", ApiLimits.MaxNameLength) ?? "float";
        if (encoding is not ("float" or "base64"))
        {
            throw ApiError.InvalidValue("encoding_format", "'encoding_format' must be float or base64").AsException();
        }

        _ = fields.TakeInteger("dimensions", 1, ApiLimits.MaxTokens);
        _ = fields.TakeString("user", ApiLimits.MaxUserLength);
    }

    private static void ReadRerank(JsonFields fields)
    {
        _ = JsonFields.Text(fields.TakeRequired("query"), "query", ApiLimits.MaxBodyBytes);
        _ = SamplingFields.ReadTexts(fields, "documents", ApiLimits.MaxMessages, ApiLimits.MaxBodyBytes) ?? throw ApiError.Missing("documents").AsException();
        _ = fields.TakeInteger("top_n", 1, ApiLimits.MaxMessages);
    }

    private async Task RefuseAsync(HttpContext context, Action<JsonFields> read, string why)
    {
        ReadOnlyMemory<byte> body = await RequestBody.ReadAsync(context.Request);
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        string name = JsonFields.Text(fields.TakeRequired("model"), "model", ApiLimits.MaxModelNameLength);
        read(fields);
        fields.RefuseOthers();
        _ = models.Require(Caller.Of(context), name);
        throw ApiError.InvalidValue("model", $"the model {why}").AsException();
    }
}
