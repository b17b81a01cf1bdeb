using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>What a chat template makes a prompt of.</summary>
/// <param name="TemplateVariables">The caller's own variables for the template, or null.</param>
internal sealed record ChatConversation(IReadOnlyList<ChatMessage> Messages, ToolRequest Tools, JsonObject? TemplateVariables)
{
    private static readonly string[] s_efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];

    /// <summary>How much the model shall think before it answers; null = as the template has it.</summary>
    public string? ReasoningEffort { get; init; }

    /// <summary>The name under which a Responses request gave it.</summary>
    public string EffortField { get; init; } = "reasoning_effort";

    /// <summary>
    /// The variables with the effort in the form that the template takes: its own name for it, or for none the switch that turns thinking off. Throws
    /// <see cref="ApiException"/> when it has neither.
    /// </summary>
    /// <param name="template">The chat template's text.</param>
    public JsonObject? VariablesFor(string template)
    {
        if (ReasoningEffort is not { } effort)
        {
            return TemplateVariables;
        }

        JsonObject variables = TemplateVariables?.DeepClone().AsObject() ?? [];
        if (template.Contains("reasoning_effort", StringComparison.Ordinal))
        {
            variables["reasoning_effort"] = effort;
        }
        else if (template.Contains("enable_thinking", StringComparison.Ordinal))
        {
            variables["enable_thinking"] = effort != "none";
        }
        else
        {
            throw ApiError.InvalidValue(EffortField, $"'{EffortField}' cannot be used: the model's chat template knows no reasoning effort").AsException();
        }

        return variables;
    }

    public static ChatConversation Read(JsonFields fields)
    {
        ChatMessage[] messages = ChatMessages.Read(fields.TakeRequired("messages"), fields.PathOf("messages"));
        ToolRequest tools = ToolFields.Read(fields);
        JsonObject? variables = ReadVariables(fields);
        string? effort = ReadEffort(fields);
        return new ChatConversation(messages, tools, variables) { ReasoningEffort = effort };
    }

    public static JsonObject? ReadVariables(JsonFields fields) => fields.Take("chat_template_kwargs") switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } json => JsonFields.Node(json, "chat_template_kwargs").AsObject(),
        { } other => throw ApiError.InvalidType("chat_template_kwargs", "an object", JsonFields.Kind(other)).AsException(),
    };

    public static string? ReadEffort(JsonFields fields, string name = "reasoning_effort")
    {
        string? effort = fields.TakeString(name, ApiLimits.MaxNameLength);
        return effort is null || s_efforts.Contains(effort)
            ? effort
            : throw ApiError.InvalidValue(fields.PathOf(name), $"'{fields.PathOf(name)}' must be {string.Join(", ", s_efforts)}").AsException();
    }
}
