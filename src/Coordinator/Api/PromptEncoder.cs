using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api;

/// <summary>Turns messages and prompts into tokens. Only the chat template's own text may produce control tokens.</summary>
internal static class PromptEncoder
{
    /// <summary>Normalisation (runs of spaces, accents) may shorten a text before it is cut into tokens, by no more than this.</summary>
    private const int ShrinkAllowance = 8;

    public static int[] Encode(ServedModel model, IReadOnlyList<ChatMessage> messages, DateTime now)
    {
        RequireCouldFit(model, messages.Sum(message => (long)message.Content.Length), "messages");
        RenderedPrompt prompt;
        try
        {
            prompt = model.Chat.Render(new ChatPromptInput(ToJson(messages), Now: now));
        }
        catch (TemplateException e)
        {
            throw ApiError.InvalidValue("messages", $"the model's chat template refuses the messages: {e.Message}").AsException();
        }

        return Checked(model, WithBos(model, model.Tokenizer.Encode(prompt.Text, prompt.Trusted)), "messages");
    }

    public static int[] Encode(ServedModel model, CompletionPrompt prompt, string param)
    {
        if (prompt.Tokens is { } tokens)
        {
            int unknown = Array.FindIndex(tokens, token => token >= model.Tokenizer.VocabularySize);
            return unknown < 0
                ? Checked(model, tokens, param)
                : throw ApiError.InvalidValue(param, $"token {unknown} of the prompt is {tokens[unknown]}, but the vocabulary has {model.Tokenizer.VocabularySize} tokens").AsException();
        }

        RequireCouldFit(model, prompt.Text!.Length, param);
        return Checked(model, WithBos(model, model.Tokenizer.Encode(prompt.Text)), param);
    }

    /// <summary>Refuses what is too long by far without spending time on its tokens.</summary>
    private static void RequireCouldFit(ServedModel model, long characters, string param)
    {
        long most = (long)model.ContextLength * model.LongestTokenBytes * ShrinkAllowance;
        if (characters > most)
        {
            throw ApiError.ContextLengthExceeded(param, $"more than {characters / model.LongestTokenBytes / ShrinkAllowance}", model.ContextLength).AsException();
        }
    }

    private static JsonArray ToJson(IReadOnlyList<ChatMessage> messages)
    {
        var list = new JsonArray();
        foreach (ChatMessage message in messages)
        {
            var json = new JsonObject { ["role"] = message.Role, ["content"] = message.Content };
            if (message.Name is not null)
            {
                json["name"] = message.Name;
            }

            list.Add(json);
        }

        return list;
    }

    private static int[] WithBos(ServedModel model, int[] tokens) => model.Tokenizer is { AddBos: true, Bos: int bos } ? [bos, .. tokens] : tokens;

    private static int[] Checked(ServedModel model, int[] tokens, string param)
    {
        if (tokens.Length == 0)
        {
            throw ApiError.InvalidValue(param, $"'{param}' gives no tokens").AsException();
        }

        return tokens.Length < model.ContextLength
            ? tokens
            : throw ApiError.ContextLengthExceeded(param, tokens.Length.ToString(CultureInfo.InvariantCulture), model.ContextLength).AsException();
    }
}
