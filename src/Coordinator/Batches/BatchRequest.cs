using System.Text.Json;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Batches.Files;

namespace Lamina.Coordinator.Batches;

/// <summary>Body of <c>POST /v1/batches</c>.</summary>
internal sealed record BatchRequest(string InputFileId, string Endpoint, IReadOnlyDictionary<string, string>? Metadata, long? OutputExpiresAfter)
{
    private const int MaxMetadata = 16;
    private const int MaxMetadataKey = 64;
    private const int MaxMetadataValue = 512;

    public static BatchRequest Parse(ReadOnlyMemory<byte> body, IReadOnlyCollection<string> endpoints)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        string input = JsonFields.Text(fields.TakeRequired("input_file_id"), "input_file_id", ApiLimits.MaxNameLength);
        string endpoint = JsonFields.Text(fields.TakeRequired("endpoint"), "endpoint", ApiLimits.MaxNameLength);
        string window = JsonFields.Text(fields.TakeRequired("completion_window"), "completion_window", ApiLimits.MaxNameLength);
        var request = new BatchRequest(input, endpoint, ReadMetadata(fields), ReadExpiry(fields));
        fields.RefuseOthers();
        return !endpoints.Contains(endpoint) ? throw BatchErrors.Invalid("endpoint", $"'endpoint' must be one of {string.Join(", ", endpoints)}")
            : window != BatchRecord.Window ? throw BatchErrors.Invalid("completion_window", $"'completion_window' must be {BatchRecord.Window}")
            : request;
    }

    private static Dictionary<string, string>? ReadMetadata(JsonFields fields)
    {
        if (fields.Take("metadata") is not { } json)
        {
            return null;
        }

        JsonFields entries = JsonFields.Of(json, "metadata");
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string name in entries.Names.ToArray())
        {
            if (metadata.Count == MaxMetadata || name.Length > MaxMetadataKey)
            {
                throw BatchErrors.Invalid("metadata", $"'metadata' may have {MaxMetadata} entries with names of at most {MaxMetadataKey} characters");
            }

            metadata[name] = JsonFields.Text(entries.TakeRequired(name), "metadata", MaxMetadataValue);
        }

        return metadata;
    }

    private static long? ReadExpiry(JsonFields fields)
    {
        if (fields.Take("output_expires_after") is not { } json)
        {
            return null;
        }

        JsonFields expiry = JsonFields.Of(json, "output_expires_after");
        string anchor = JsonFields.Text(expiry.TakeRequired("anchor"), expiry.PathOf("anchor"), ApiLimits.MaxNameLength);
        long seconds = JsonFields.Integer(expiry.TakeRequired("seconds"), expiry.PathOf("seconds"), FileForm.MinExpirySeconds, FileForm.MaxExpirySeconds);
        expiry.RefuseOthers();
        return anchor == "created_at" ? seconds : throw BatchErrors.Invalid("output_expires_after.anchor", "'output_expires_after.anchor' must be created_at");
    }
}
