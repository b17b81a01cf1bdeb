using System.Collections.Frozen;
using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>Body of <c>POST /v1/chat/completions</c>.</summary>
/// <param name="ServiceTier">What the answer says of it; null = nothing.</param>
internal sealed record ChatCompletionRequest(GenerationOptions Options, ChatConversation Conversation, string? ServiceTier)
{
    /// <summary>Fields that OpenAI's API has and this server does not.</summary>
    private static readonly FrozenSet<string> s_unsupported = FrozenSet.Create<string>(
        StringComparer.Ordinal,
        [
            "audio", "function_call", "functions", "moderation", "prediction", "web_search_options", "chat_template",
        ]);

    public static ChatCompletionRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        GenerationOptions options = GenerationOptions.Read(fields);
        bool logProbs = fields.TakeBool("logprobs") ?? false;
        long? top = fields.TakeInteger("top_logprobs", 0, ApiLimits.MaxTopLogProbs);
        if (top is not null && !logProbs)
        {
            throw ApiError.InvalidValue("top_logprobs", "'top_logprobs' is allowed only when 'logprobs' is true").AsException();
        }

        ChatConversation conversation = ChatConversation.Read(fields);
        if (conversation.Tools.Use != ToolUse.None && options.Sampling.Grammar is not null)
        {
            throw ApiError.InvalidValue("tools", "'tools' cannot be combined with a grammar or response format: calls of tools have a form of their own").AsException();
        }

        if (conversation.Tools.IsForced && options.MinTokens > 0)
        {
            throw ApiError.InvalidValue("min_tokens", "'min_tokens' cannot be combined with a forced call, whose end its arguments decide").AsException();
        }

        AcceptedFields.RefuseStore(fields);
        AcceptedFields.RequireText(fields);
        string? tier = AcceptedFields.Read(fields);
        fields.RefuseOthers(s_unsupported);
        return new ChatCompletionRequest(options with { LogProbs = logProbs, TopLogProbs = (int)(top ?? 0) }, conversation, tier);
    }
}
