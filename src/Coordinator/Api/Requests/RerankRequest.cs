using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>Body of <c>POST /v1/rerank</c>, in the shape that Cohere, Jina and llama.cpp share.</summary>
/// <param name="Best">How many of the best are wanted; null = all.</param>
internal sealed record RerankRequest(string Model, string Query, IReadOnlyList<string> Documents, int? Best, bool ReturnDocuments)
{
    public static RerankRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument json = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(json.RootElement);
        string model = JsonFields.Text(fields.TakeRequired("model"), "model", ApiLimits.MaxModelNameLength);
        string query = NotEmpty(JsonFields.Text(fields.TakeRequired("query"), "query", ApiLimits.MaxBodyBytes), "query");
        JsonElement list = fields.TakeRequired("documents");
        if (list.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType("documents", "an array of texts", JsonFields.Kind(list)).AsException();
        }

        int count = list.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxDocuments)
        {
            throw ApiError.InvalidValue("documents", $"'documents' has {count} entries; 1 to {ApiLimits.MaxDocuments} are allowed").AsException();
        }

        string[] documents = [.. list.EnumerateArray().Select((document, i) => ReadDocument(document, $"documents[{i}]"))];
        var request = new RerankRequest(model, query, documents, (int?)fields.TakeInteger("top_n", 1, ApiLimits.MaxTokens), fields.TakeBool("return_documents") ?? false);
        fields.RefuseOthers();
        return request;
    }

    /// <summary>A text, or an object that holds one.</summary>
    private static string ReadDocument(JsonElement json, string path)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            return NotEmpty(JsonFields.Text(json, path, ApiLimits.MaxBodyBytes), path);
        }

        JsonFields fields = JsonFields.Of(json, path);
        string text = NotEmpty(JsonFields.Text(fields.TakeRequired("text"), fields.PathOf("text"), ApiLimits.MaxBodyBytes), fields.PathOf("text"));
        fields.RefuseOthers();
        return text;
    }

    private static string NotEmpty(string text, string path) => text.Length > 0 ? text : throw ApiError.InvalidValue(path, $"'{path}' is empty").AsException();
}
