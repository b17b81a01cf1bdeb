using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary>
/// <c>POST /v1/embeddings</c>, and <c>POST /v1/rerank</c>, which orders documents by the cosine of the angle between their embeddings and the query's.
/// </summary>
internal sealed class EncoderEndpoints(ModelLookup models, ApiMetrics metrics, Responder responder)
{
    public const string EmbeddingsRoute = "/v1/embeddings";
    public const string RerankRoute = "/v1/rerank";

    public void Map(IEndpointRouteBuilder routes)
    {
        responder.Map(routes, EmbeddingsRoute, (caller, body, _) => BeginEmbedding(caller, body, priority: 0));
        responder.Map(routes, RerankRoute, (caller, body, _) => BeginRerank(caller, body));
    }

    /// <param name="priority">Of its texts against other work; higher comes first.</param>
    internal PendingAnswer BeginEmbedding(Caller caller, ReadOnlyMemory<byte> body, int priority)
    {
        EmbeddingRequest request = EmbeddingRequest.Parse(body);
        (Cell cell, ServedModel model) = models.RequireEmbedder(caller, request.Model);
        int length = Length(model, request.Dimensions);
        bool many = request.Inputs.Count > 1;
        int[][] texts = [.. request.Inputs.Select((input, i) => PromptEncoder.EncodeText(model, input, many ? $"input[{i}]" : "input"))];
        AnswerMeter meter = Embedder.Measure(model, texts);
        var embedder = new Embedder(cell, model, metrics, meter, priority);
        return new PendingAnswer($"embd-{Guid.NewGuid():n}", Stream: false, Seed: 0, request.User, cancellation => EmbedAsync(embedder, request, texts, length, model.Name, cancellation))
        {
            Meter = meter,
        };
    }

    private static async IAsyncEnumerable<byte[]> EmbedAsync(
        Embedder embedder, EmbeddingRequest request, int[][] texts, int length, string model, [EnumeratorCancellation] CancellationToken cancellation)
    {
        float[][] embeddings = await embedder.EmbedAsync(texts, cancellation);
        yield return JsonBody.Of(json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteString("model", model);
            json.WriteStartArray("data");
            for (int i = 0; i < embeddings.Length; i++)
            {
                json.WriteStartObject();
                json.WriteString("object", "embedding");
                json.WriteNumber("index", i);
                WriteValues(json, Cut(embeddings[i], length), request.Base64);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteUsage(json, texts.Sum(text => text.Length));
            json.WriteEndObject();
        });
    }

    private PendingAnswer BeginRerank(Caller caller, ReadOnlyMemory<byte> body)
    {
        RerankRequest request = RerankRequest.Parse(body);
        (Cell cell, ServedModel model) = models.RequireEmbedder(caller, request.Model);
        int[][] texts =
        [
            PromptEncoder.EncodeText(model, new CompletionPrompt(request.Query, null), "query"),
            .. request.Documents.Select((document, i) => PromptEncoder.EncodeText(model, new CompletionPrompt(document, null), $"documents[{i}]")),
        ];
        AnswerMeter meter = Embedder.Measure(model, texts);
        var embedder = new Embedder(cell, model, metrics, meter);
        return new PendingAnswer($"rerank-{Guid.NewGuid():n}", Stream: false, Seed: 0, null, cancellation => RerankAsync(embedder, request, texts, model.Name, cancellation)) { Meter = meter };
    }

    private static async IAsyncEnumerable<byte[]> RerankAsync(
        Embedder embedder, RerankRequest request, int[][] texts, string model, [EnumeratorCancellation] CancellationToken cancellation)
    {
        float[][] embeddings = await embedder.EmbedAsync(texts, cancellation);

        // Embeddings have unit length: their inner product is the cosine.
        (int Index, float Score)[] ranked = [.. embeddings.Skip(1).Select((embedding, i) => (i, InnerProduct(embeddings[0], embedding))).OrderByDescending(result => result.Item2)];
        yield return JsonBody.Of(json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteString("model", model);
            json.WriteStartArray("results");
            foreach ((int index, float score) in ranked.Take(request.Best ?? ranked.Length))
            {
                json.WriteStartObject();
                json.WriteNumber("index", index);
                json.WriteNumber("relevance_score", score);
                if (request.ReturnDocuments)
                {
                    json.WriteStartObject("document");
                    json.WriteString("text", request.Documents[index]);
                    json.WriteEndObject();
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteUsage(json, texts.Sum(text => text.Length));
            json.WriteEndObject();
        });
    }

    /// <summary>A shorter length has a meaning only where the model was trained for it.</summary>
    private static int Length(ServedModel model, int? wanted)
    {
        int whole = model.Shape.EmbeddingLength;
        if (wanted is not { } length || length == whole || (length < whole && model.EmbeddingDimensions.Contains(length)))
        {
            return wanted ?? whole;
        }

        int[] allowed = [.. model.EmbeddingDimensions.Where(d => d < whole).Order(), whole];
        throw ApiError.InvalidValue("dimensions", $"'dimensions' is {length}; the model's embeddings have {string.Join(" or ", allowed)} values").AsException();
    }

    /// <summary>The first values, again of unit length.</summary>
    internal static float[] Cut(float[] embedding, int length)
    {
        if (length == embedding.Length)
        {
            return embedding;
        }

        float[] cut = embedding[..length];
        double norm = Math.Sqrt(cut.Sum(value => (double)value * value));
        return norm > 0 ? [.. cut.Select(value => (float)(value / norm))] : cut;
    }

    private static float InnerProduct(float[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += (double)a[i] * b[i];
        }

        return (float)sum;
    }

    private static void WriteValues(Utf8JsonWriter json, float[] values, bool base64)
    {
        if (base64)
        {
            json.WriteBase64String("embedding", MemoryMarshal.AsBytes(values.AsSpan()));
            return;
        }

        json.WriteStartArray("embedding");
        foreach (float value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static void WriteUsage(Utf8JsonWriter json, int tokens)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteEndObject();
    }
}
