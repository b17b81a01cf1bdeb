using System.Runtime.InteropServices;
using System.Text.Json;
using Lamina.Coordinator.Api;

namespace Lamina.Coordinator.Batches;

/// <summary>Where a request of a batch lies in its input file.</summary>
/// <param name="Length">Bytes without the line end.</param>
internal readonly record struct BatchLine(long Offset, int Length, string CustomId);

/// <summary>Reads the input file of a batch: one JSON object a line with <c>custom_id</c>, <c>method</c>, <c>url</c> and <c>body</c>.</summary>
internal static class BatchInput
{
    public const int MaxCustomIdLength = 512;
    private const int MaxProblems = 100;

    /// <summary>A request's body may be as large as by itself; this is for what stands around it.</summary>
    private const int EnvelopeBytes = 16 << 10;

    private static readonly JsonDocumentOptions s_json = new() { MaxDepth = ApiLimits.MaxJsonDepth + 1 };

    /// <summary>The requests, or what is wrong with the file; never both.</summary>
    public static async Task<(IReadOnlyList<BatchLine> Lines, IReadOnlyList<BatchProblem> Problems)> ReadAsync(Stream content, string endpoint, int maxRequests, CancellationToken cancellation)
    {
        var source = new LineSource(content, ApiLimits.MaxBodyBytes + EnvelopeBytes);
        var lines = new List<BatchLine>();
        var problems = new List<BatchProblem>();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        int number = 0;
        try
        {
            while (await source.NextAsync(cancellation) is { } text)
            {
                number++;
                ReadOnlyMemory<byte> json = number == 1 && text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text;
                if (json.Span.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0)
                {
                    continue;
                }

                if (lines.Count == maxRequests)
                {
                    problems.Add(new BatchProblem("too_many_requests", $"the file has more than {maxRequests} requests", null, number));
                    break;
                }

                string? customId = Read(json, endpoint, number, problems);
                if (customId is not null && !ids.Add(customId))
                {
                    problems.Add(new BatchProblem("duplicate_custom_id", "an earlier line has the same custom_id", "custom_id", number));
                }

                if (problems.Count >= MaxProblems)
                {
                    break;
                }

                lines.Add(new BatchLine(source.Offset + text.Length - json.Length, json.Length, customId ?? ""));
            }
        }
        catch (InvalidDataException e)
        {
            problems.Add(new BatchProblem("line_too_long", e.Message, null, number + 1));
        }

        if (lines.Count == 0 && problems.Count == 0)
        {
            problems.Add(new BatchProblem("empty_file", "the file has no requests", null, null));
        }

        return problems.Count == 0 ? (lines, problems) : ([], problems);
    }

    /// <summary>The body of a request that was read before.</summary>
    public static ReadOnlyMemory<byte> BodyOf(ReadOnlyMemory<byte> line)
    {
        using JsonDocument document = JsonDocument.Parse(line, s_json);
        return JsonMarshal.GetRawUtf8Value(document.RootElement.GetProperty("body")).ToArray();
    }

    private static string? Read(ReadOnlyMemory<byte> json, string endpoint, int number, List<BatchProblem> problems)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, s_json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                problems.Add(new BatchProblem("invalid_json_line", "the line is not a JSON object", null, number));
                return null;
            }

            var seen = new HashSet<string>(StringComparer.Ordinal);
            string? customId = null;
            foreach (JsonProperty field in document.RootElement.EnumerateObject())
            {
                if (!seen.Add(field.Name) || Problem(field, endpoint) is not null)
                {
                    problems.Add((Problem(field, endpoint) ?? new BatchProblem("duplicate_field", $"'{field.Name}' stands there twice", field.Name, null)) with { Line = number });
                    return null;
                }

                customId = field.Name == "custom_id" ? field.Value.GetString() : customId;
            }

            if (((string[])["custom_id", "method", "url", "body"]).FirstOrDefault(name => !seen.Contains(name)) is { } missing)
            {
                problems.Add(new BatchProblem("missing_required_parameter", $"'{missing}' is required", missing, number));
                return null;
            }

            return customId;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            problems.Add(new BatchProblem("invalid_json_line", $"the line is not valid JSON of at most {s_json.MaxDepth} levels", null, number));
            return null;
        }
    }

    private static BatchProblem? Problem(JsonProperty field, string endpoint) => field.Name switch
    {
        "custom_id" when field.Value.ValueKind != JsonValueKind.String || field.Value.GetString() is { Length: 0 or > MaxCustomIdLength } =>
            new BatchProblem("invalid_custom_id", $"'custom_id' must be a string of 1 to {MaxCustomIdLength} characters", "custom_id", null),
        "method" when !field.Value.ValueEquals("POST"u8) => new BatchProblem("invalid_method", "'method' must be POST", "method", null),
        "url" when !field.Value.ValueEquals(endpoint) => new BatchProblem("mismatched_url", $"'url' must be the batch's endpoint {endpoint}", "url", null),
        "body" when field.Value.ValueKind != JsonValueKind.Object => new BatchProblem("invalid_body", "'body' must be an object", "body", null),
        "custom_id" or "method" or "url" or "body" => null,
        _ => new BatchProblem("unknown_parameter", "the line has a field that is none of custom_id, method, url and body", null, null),
    };
}
