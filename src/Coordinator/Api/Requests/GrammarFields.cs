using System.Text.Json;
using Lamina.Compute.Grammar;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>The fields that hold an answer to a form: OpenAI's <c>response_format</c>, and <c>json_schema</c>, <c>grammar</c>, <c>regex</c> and <c>choices</c>.</summary>
internal static class GrammarFields
{
    /// <summary>Null when the answer is free. What cannot be compiled is refused here, before any model is asked; at most one field may be given.</summary>
    public static GrammarSource? Read(JsonFields fields)
    {
        (string Field, GrammarSource Source)[] given =
        [
            .. ReadResponseFormat(fields),
            .. fields.Take("json_schema") is { } schema ? [("json_schema", new GrammarSource(GrammarKind.JsonSchema, schema.GetRawText()))] : Array.Empty<(string, GrammarSource)>(),
            .. fields.TakeString("grammar", ApiLimits.MaxBodyBytes) is { } gbnf ? [("grammar", new GrammarSource(GrammarKind.Gbnf, gbnf))] : Array.Empty<(string, GrammarSource)>(),
            .. fields.TakeString("regex", ApiLimits.MaxBodyBytes) is { } regex ? [("regex", new GrammarSource(GrammarKind.Regex, regex))] : Array.Empty<(string, GrammarSource)>(),
            .. SamplingFields.ReadTexts(fields, "choices", ApiLimits.MaxGrammarChoices, ApiLimits.MaxBodyBytes) is { } choices
                ? [("choices", new GrammarSource(GrammarKind.Choices, JsonSerializer.Serialize(choices)))] : Array.Empty<(string, GrammarSource)>(),
        ];
        if (given.Length > 1)
        {
            throw ApiError.InvalidValue(given[1].Field, $"'{given[1].Field}' cannot be combined with '{given[0].Field}'").AsException();
        }

        return given is [var (field, source)] ? Compiled(source, field) : null;
    }

    /// <summary>The source, once it is known to compile.</summary>
    public static GrammarSource Compiled(GrammarSource source, string field)
    {
        try
        {
            _ = source.Compile();
            return source;
        }
        catch (GrammarException e)
        {
            throw ApiError.InvalidValue(field, $"'{field}' cannot be used: {e.Message}").AsException();
        }
    }

    private static IEnumerable<(string Field, GrammarSource Source)> ReadResponseFormat(JsonFields fields)
    {
        if (fields.Take("response_format") is not { } json)
        {
            return [];
        }

        JsonFields format = JsonFields.Of(json, fields.PathOf("response_format"));
        string path = format.PathOf("type");
        string type = JsonFields.Text(format.TakeRequired("type"), path, ApiLimits.MaxNameLength);
        GrammarSource? source = type switch
        {
            "text" => null,
            "json_object" => new GrammarSource(GrammarKind.JsonObject, ""),
            "json_schema" => ReadSchema(JsonFields.Of(format.TakeRequired("json_schema"), format.PathOf("json_schema"))),
            _ => throw ApiError.InvalidValue(path, $"'{path}' must be text, json_object or json_schema").AsException(),
        };
        format.RefuseOthers();
        return source is null ? [] : [("response_format", source)];
    }

    /// <summary>A schema is enforced whether <c>strict</c> asks for it or not.</summary>
    public static GrammarSource ReadSchema(JsonFields fields)
    {
        string name = JsonFields.Text(fields.TakeRequired("name"), fields.PathOf("name"), ApiLimits.MaxNameLength);
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            throw ApiError.InvalidValue(fields.PathOf("name"), $"'{fields.PathOf("name")}' must be letters, digits, _ and - only").AsException();
        }

        _ = fields.TakeString("description", ApiLimits.MaxBodyBytes);
        _ = fields.TakeBool("strict");
        GrammarSource source = fields.Take("schema") is { } schema ? new GrammarSource(GrammarKind.JsonSchema, schema.GetRawText()) : new GrammarSource(GrammarKind.JsonObject, "");
        fields.RefuseOthers();
        return source;
    }
}
