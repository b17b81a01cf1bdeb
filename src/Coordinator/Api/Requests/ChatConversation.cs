using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>What a chat template makes a prompt of.</summary>
/// <param name="TemplateVariables">The caller's own variables for the template, or null.</param>
internal sealed record ChatConversation(IReadOnlyList<ChatMessage> Messages, ToolRequest Tools, JsonObject? TemplateVariables)
{
    public static ChatConversation Read(JsonFields fields)
    {
        ChatMessage[] messages = ChatMessages.Read(fields.TakeRequired("messages"), fields.PathOf("messages"));
        ToolRequest tools = ToolFields.Read(fields);
        JsonObject? variables = null;
        if (fields.Take("chat_template_kwargs") is { } json)
        {
            variables = json.ValueKind == JsonValueKind.Object
                ? JsonFields.Node(json, "chat_template_kwargs").AsObject()
                : throw ApiError.InvalidType("chat_template_kwargs", "an object", JsonFields.Kind(json)).AsException();
        }

        return new ChatConversation(messages, tools, variables);
    }
}
