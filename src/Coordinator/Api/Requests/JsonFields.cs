using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>
/// Reads one JSON object strictly: each field is taken once and checked for type and range, and what nobody took is refused by name. A null counts as absent,
/// as the OpenAI clients mean it.
/// </summary>
internal sealed class JsonFields
{
    private const int MaxEchoedLength = 64;

    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.Ordinal);
    private readonly string _path;

    private JsonFields(JsonElement json, string path)
    {
        _path = path;
        foreach (JsonProperty property in json.EnumerateObject())
        {
            if (!_fields.TryAdd(Decoded(() => property.Name), property.Value))
            {
                throw ApiError.InvalidBody("the request body names a field twice").AsException();
            }
        }
    }

    /// <summary>Parses a request body; the document lives as long as the fields are read.</summary>
    public static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        if (!Utf8.IsValid(body.Span))
        {
            throw ApiError.InvalidBody("the request body is not valid UTF-8").AsException();
        }

        try
        {
            return JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = ApiLimits.MaxJsonDepth, AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            string place = e.LineNumber is long line ? string.Create(CultureInfo.InvariantCulture, $" at line {line + 1}, byte {e.BytePositionInLine}") : "";
            throw ApiError.InvalidBody($"the request body is not valid JSON of at most {ApiLimits.MaxJsonDepth} levels without duplicate fields{place}").AsException();
        }
        catch (InvalidOperationException)
        {
            throw ApiError.InvalidBody("the request body holds an escape sequence that is no Unicode text").AsException();
        }
    }

    public static JsonFields Of(JsonElement json, string path = "")
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            throw (path.Length == 0 ? ApiError.InvalidBody("the request body must be a JSON object") : ApiError.InvalidType(path, "an object", Kind(json))).AsException();
        }

        return new JsonFields(json, path);
    }

    /// <summary>Fields that were not taken yet.</summary>
    public IReadOnlyCollection<string> Names => _fields.Keys;

    /// <summary>The field's full name, such as <c>messages[0].content</c>.</summary>
    public string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    /// <summary>Takes a field as it is; null when absent or null.</summary>
    public JsonElement? Take(string name) =>
        _fields.Remove(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Looks at a field that is taken later; null when absent or null.</summary>
    public JsonElement? Peek(string name) => _fields.TryGetValue(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public JsonElement TakeRequired(string name) => Take(name) ?? throw ApiError.Missing(PathOf(name)).AsException();

    public string? TakeString(string name, int maxLength) => Take(name) is { } value ? Text(value, PathOf(name), maxLength) : null;

    public bool? TakeBool(string name) => Take(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw ApiError.InvalidType(PathOf(name), "true or false", Kind(value)).AsException(),
    };

    public long? TakeInteger(string name, long min, long max) => Take(name) is { } value ? Integer(value, PathOf(name), min, max) : null;

    public double? TakeNumber(string name, double min, double max)
    {
        if (Take(name) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Number)
        {
            throw ApiError.InvalidType(PathOf(name), "a number", Kind(value)).AsException();
        }

        return value.TryGetDouble(out double number) && number >= min && number <= max
            ? number
            : throw ApiError.InvalidValue(PathOf(name), string.Create(CultureInfo.InvariantCulture, $"'{PathOf(name)}' must be from {min} to {max}")).AsException();
    }

    /// <summary>Refuses the first field that was not taken.</summary>
    public void RefuseOthers(IReadOnlySet<string>? unsupported = null)
    {
        foreach ((string name, JsonElement value) in _fields)
        {
            if (value.ValueKind == JsonValueKind.Null && unsupported?.Contains(name) == true)
            {
                continue;
            }

            string path = PathOf(name.Length <= MaxEchoedLength ? name : name[..MaxEchoedLength]);
            throw (unsupported?.Contains(name) == true ? ApiError.Unsupported(path) : ApiError.Unknown(path)).AsException();
        }
    }

    public static string Text(JsonElement value, string path, int maxLength)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            throw ApiError.InvalidType(path, "a string", Kind(value)).AsException();
        }

        string text = Decoded(() => value.GetString()!, path);
        return text.Length <= maxLength
            ? text
            : throw ApiError.InvalidValue(path, $"'{path}' has {text.Length} characters; at most {maxLength} are allowed").AsException();
    }

    /// <summary>A value as a tree of its own.</summary>
    public static JsonNode Node(JsonElement value, string path)
    {
        try
        {
            // Building the tree does not unescape; writing it does, and tells a lone surrogate.
            JsonNode node = JsonNode.Parse(value.GetRawText())!;
            _ = node.ToJsonString();
            return node;
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw ApiError.InvalidValue(path, $"'{path}' holds what is not valid Unicode, or a field twice").AsException();
        }
    }

    public static long Integer(JsonElement value, string path, long min, long max)
    {
        if (value.ValueKind != JsonValueKind.Number)
        {
            throw ApiError.InvalidType(path, "an integer", Kind(value)).AsException();
        }

        return value.TryGetInt64(out long number) && number >= min && number <= max
            ? number
            : throw ApiError.InvalidValue(path, $"'{path}' must be an integer from {min} to {max}").AsException();
    }

    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    /// <summary>Unescapes; an escaped lone surrogate is no text.</summary>
    private static string Decoded(Func<string> read, string? path = null)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            throw (path is null
                ? ApiError.InvalidBody("a field's name is not valid Unicode")
                : ApiError.InvalidValue(path, $"'{path}' is not valid Unicode")).AsException();
        }
    }
}
