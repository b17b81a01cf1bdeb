using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api;

/// <summary>Turns messages and prompts into tokens. Only the chat template's own text may produce control tokens.</summary>
internal static class PromptEncoder
{
    public static int[] Encode(ServedModel model, IReadOnlyList<ChatMessage> messages)
    {
        if (model.Template is not { } template)
        {
            throw ApiError.InvalidValue("model", "the model has no chat template; use /v1/completions").AsException();
        }

        RenderedPrompt prompt;
        try
        {
            prompt = template.Render(new TemplateInput(Variables(model, messages)));
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

        return Checked(model, WithBos(model, model.Tokenizer.Encode(prompt.Text!)), param);
    }

    private static JsonObject Variables(ServedModel model, IReadOnlyList<ChatMessage> messages)
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

        return new JsonObject
        {
            ["messages"] = list,
            ["add_generation_prompt"] = true,
            ["bos_token"] = model.BosText,
            ["eos_token"] = model.EosText,
        };
    }

    /// <summary>Puts BOS in front where the model wants one and the template has not done so.</summary>
    private static int[] WithBos(ServedModel model, int[] tokens) =>
        model.Tokenizer is { AddBos: true, Bos: int bos } && (tokens.Length == 0 || tokens[0] != bos) ? [bos, .. tokens] : tokens;

    private static int[] Checked(ServedModel model, int[] tokens, string param)
    {
        if (tokens.Length == 0)
        {
            throw ApiError.InvalidValue(param, $"'{param}' gives no tokens").AsException();
        }

        return tokens.Length < model.ContextLength
            ? tokens
            : throw ApiError.ContextLengthExceeded(param, tokens.Length, model.ContextLength).AsException();
    }
}
