using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>
/// OpenAI's fields whose effect, for the values taken here, no answer shows: labels of the caller's own, and what says to do as this server does anyway. Any other value
/// is refused by the field's name.
/// </summary>
internal static class AcceptedFields
{
    private const int MaxMetadata = 16;
    private const int MaxMetadataValue = 512;

    /// <returns>The service tier to report, or null when none was named.</returns>
    public static string? Read(JsonFields fields)
    {
        _ = ReadMetadata(fields);
        _ = fields.TakeString("safety_identifier", ApiLimits.MaxUserLength);
        _ = fields.TakeString("prompt_cache_key", ApiLimits.MaxUserLength);
        Only(fields, "prompt_cache_retention", "in_memory", "in-memory");
        Only(fields, "verbosity", "medium");
        return Only(fields, "service_tier", "auto", "default") is null ? null : "default";
    }

    /// <summary>Up to sixteen texts by name; null when absent.</summary>
    public static IReadOnlyDictionary<string, string>? ReadMetadata(JsonFields fields)
    {
        if (fields.Take("metadata") is not { } json)
        {
            return null;
        }

        JsonFields entries = JsonFields.Of(json, fields.PathOf("metadata"));
        if (entries.Names.Count > MaxMetadata || entries.Names.Any(name => name.Length > ApiLimits.MaxNameLength))
        {
            throw ApiError.InvalidValue("metadata", $"'metadata' may have at most {MaxMetadata} entries with names of at most {ApiLimits.MaxNameLength} characters").AsException();
        }

        return entries.Names.ToArray().ToDictionary(name => name, name => JsonFields.Text(entries.TakeRequired(name), entries.PathOf(name), MaxMetadataValue), StringComparer.Ordinal);
    }

    /// <summary>Nothing is stored for later training or evaluation.</summary>
    public static void RefuseStore(JsonFields fields)
    {
        if (fields.TakeBool("store") == true)
        {
            throw ApiError.InvalidValue("store", "'store' can only be false: chat completions are not stored").AsException();
        }
    }

    /// <summary>Text is the only kind of answer.</summary>
    public static void RequireText(JsonFields fields)
    {
        if (SamplingFields.ReadTexts(fields, "modalities", 4, ApiLimits.MaxNameLength) is { } modalities && modalities is not ["text"])
        {
            throw ApiError.InvalidValue("modalities", "'modalities' can only be [\"text\"]").AsException();
        }
    }

    private static string? Only(JsonFields fields, string name, params ReadOnlySpan<string> allowed)
    {
        string? value = fields.TakeString(name, ApiLimits.MaxNameLength);
        return value is null || allowed.Contains(value)
            ? value
            : throw ApiError.InvalidValue(fields.PathOf(name), $"'{fields.PathOf(name)}' must be {string.Join(" or ", allowed.ToArray())}").AsException();
    }
}
