using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar;
using Lamina.Compute.ToolCalls;

namespace Lamina.Coordinator.Api.Requests;

internal enum ToolUse { None, Auto, Required, Named }

/// <summary>The tools of a request and how the answer may use them.</summary>
/// <param name="Definitions">In OpenAI's shape, as chat templates take them; empty when <paramref name="Use"/> is None.</param>
/// <param name="Function">The function to call when <paramref name="Use"/> is Named.</param>
/// <param name="Parallel">Whether one answer may hold several calls.</param>
internal sealed record ToolRequest(ToolUse Use, IReadOnlyList<JsonObject> Definitions, string? Function, bool Parallel)
{
    public static ToolRequest Nothing { get; } = new(ToolUse.None, [], null, true);

    /// <summary>Functions whose arguments are held to their schemas even where the model is free to call.</summary>
    public IReadOnlySet<string> Strict { get; init; } = new HashSet<string>();

    /// <summary>Whether the answer must be a call.</summary>
    public bool IsForced => Use is ToolUse.Named or ToolUse.Required;

    /// <summary>
    /// What holds calls to their schemas: the arguments alone when the function is named, else calls in the model's own format, which a free answer need not
    /// make. Null when the model is free in all.
    /// </summary>
    /// <param name="thinks">Whether the prompt ends within reasoning.</param>
    public GrammarSource? Grammar(ToolFormat format, bool thinks) => Use switch
    {
        ToolUse.Named => new GrammarSource(GrammarKind.JsonSchema, Parameters(Definitions.First(tool => NameOf(tool) == Function)).ToJsonString()),
        ToolUse.Required => Calls(format, thinks),
        ToolUse.Auto when Strict.Count > 0 && format != ToolFormat.None => Calls(format, thinks),
        _ => null,
    };

    public static string NameOf(JsonObject tool) => tool["function"]!["name"]!.GetValue<string>();

    private GrammarSource Calls(ToolFormat format, bool thinks) => new(GrammarKind.ToolCalls, new JsonObject
    {
        ["format"] = format.ToString(),
        ["forced"] = IsForced,
        ["parallel"] = Parallel,
        ["thinks"] = thinks,
        ["tools"] = new JsonArray([.. Definitions.Select(tool => new JsonObject
        {
            ["name"] = NameOf(tool),
            ["parameters"] = IsForced || Strict.Contains(NameOf(tool)) ? Parameters(tool) : new JsonObject { ["type"] = "object" },
        })]),
    }.ToJsonString());

    private static JsonNode Parameters(JsonObject tool) => tool["function"]!["parameters"]?.DeepClone() ?? new JsonObject { ["type"] = "object" };
}

/// <summary>Reads <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
internal static class ToolFields
{
    /// <param name="flat">Whether a tool's fields stand beside its type, as in the Responses API.</param>
    public static ToolRequest Read(JsonFields fields, bool flat = false)
    {
        (JsonObject Tool, bool Strict)[] tools = fields.Take("tools") is { } list ? ReadTools(list, fields.PathOf("tools"), flat) : [];
        JsonElement? choice = fields.Take("tool_choice");
        bool? parallel = fields.TakeBool("parallel_tool_calls");
        if (tools.Length == 0)
        {
            string? dependent = choice is { } value && !IsNone(value) ? "tool_choice" : parallel is not null ? "parallel_tool_calls" : null;
            return dependent is null ? ToolRequest.Nothing : throw ApiError.InvalidValue(dependent, $"'{dependent}' is allowed only with 'tools'").AsException();
        }

        (ToolUse use, string? function) = choice is { } given ? ReadChoice(given, [.. tools.Select(tool => ToolRequest.NameOf(tool.Tool))]) : (ToolUse.Auto, null);
        if (use == ToolUse.None)
        {
            return ToolRequest.Nothing;
        }

        var request = new ToolRequest(use, [.. tools.Select(tool => tool.Tool)], function, parallel ?? true) { Strict = tools.Where(tool => tool.Strict).Select(tool => ToolRequest.NameOf(tool.Tool)).ToHashSet() };

        // Which format it will be depends on the model; whether the schemas can be honoured does not.
        if (request.Grammar(ToolFormat.Hermes, thinks: false) is { } grammar)
        {
            GrammarFields.Compiled(grammar, "tools");
        }

        return request;
    }

    /// <summary>Tools are functions; nothing else is known.</summary>
    public static void RequireFunctionType(JsonFields fields)
    {
        string path = fields.PathOf("type");
        if (JsonFields.Text(fields.TakeRequired("type"), path, ApiLimits.MaxNameLength) != "function")
        {
            throw ApiError.InvalidValue(path, $"'{path}' must be function").AsException();
        }
    }

    private static bool IsNone(JsonElement choice) => choice.ValueKind == JsonValueKind.String && choice.ValueEquals("none");

    private static (JsonObject Tool, bool Strict)[] ReadTools(JsonElement json, string path, bool flat)
    {
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "an array", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxTools)
        {
            throw ApiError.InvalidValue(path, $"'{path}' has {count} entries; 1 to {ApiLimits.MaxTools} are allowed").AsException();
        }

        (JsonObject Tool, bool Strict)[] tools = [.. json.EnumerateArray().Select((tool, i) => ReadTool(JsonFields.Of(tool, $"{path}[{i}]"), flat))];
        string? twice = tools.GroupBy(tool => ToolRequest.NameOf(tool.Tool)).FirstOrDefault(group => group.Count() > 1)?.Key;
        return twice is null ? tools : throw ApiError.InvalidValue(path, $"'{path}' defines the function '{twice}' twice").AsException();
    }

    private static (JsonObject Tool, bool Strict) ReadTool(JsonFields fields, bool flat)
    {
        RequireFunctionType(fields);
        JsonFields function = flat ? fields : JsonFields.Of(fields.TakeRequired("function"), fields.PathOf("function"));
        (JsonObject definition, bool strict) = ReadFunction(function);
        fields.RefuseOthers();
        return (new JsonObject { ["type"] = "function", ["function"] = definition }, strict);
    }

    /// <summary>Name, description, parameters and whether they are strict.</summary>
    public static (JsonObject Definition, bool Strict) ReadFunction(JsonFields function)
    {
        string path = function.PathOf("name");
        string name = JsonFields.Text(function.TakeRequired("name"), path, ApiLimits.MaxNameLength);
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            throw ApiError.InvalidValue(path, $"'{path}' must be letters, digits, _ and - only").AsException();
        }

        var definition = new JsonObject { ["name"] = name };
        if (function.TakeString("description", ApiLimits.MaxBodyBytes) is { } description)
        {
            definition["description"] = description;
        }

        if (function.Take("parameters") is { } parameters)
        {
            if (parameters.ValueKind != JsonValueKind.Object)
            {
                throw ApiError.InvalidType(function.PathOf("parameters"), "an object", JsonFields.Kind(parameters)).AsException();
            }

            definition["parameters"] = JsonFields.Node(parameters, function.PathOf("parameters"));
        }

        bool strict = function.TakeBool("strict") ?? false;
        function.RefuseOthers();
        return (definition, strict);
    }

    private static (ToolUse Use, string? Function) ReadChoice(JsonElement json, string[] names)
    {
        if (json.ValueKind == JsonValueKind.String)
        {
            return JsonFields.Text(json, "tool_choice", ApiLimits.MaxNameLength) switch
            {
                "none" => (ToolUse.None, null),
                "auto" => (ToolUse.Auto, null),
                "required" => (ToolUse.Required, null),
                _ => throw ApiError.InvalidValue("tool_choice", "'tool_choice' must be none, auto, required or an object that names a function").AsException(),
            };
        }

        JsonFields fields = JsonFields.Of(json, "tool_choice");
        RequireFunctionType(fields);
        JsonFields function = fields.Names.Contains("name") ? fields : JsonFields.Of(fields.TakeRequired("function"), "tool_choice.function");
        string name = JsonFields.Text(function.TakeRequired("name"), function.PathOf("name"), ApiLimits.MaxNameLength);
        function.RefuseOthers();
        fields.RefuseOthers();
        return names.Contains(name)
            ? (ToolUse.Named, name)
            : throw ApiError.InvalidValue(function.PathOf("name"), $"'{function.PathOf("name")}' names a function that 'tools' does not define").AsException();
    }
}
