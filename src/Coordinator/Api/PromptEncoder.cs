using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api;

/// <summary>Turns messages and prompts into tokens. Only the chat template's own text may produce control tokens.</summary>
internal static class PromptEncoder
{
    /// <summary>Normalisation (runs of spaces, accents) may shorten a text before it is cut into tokens, by no more than this.</summary>
    private const int ShrinkAllowance = 8;

    /// <param name="opensReasoning">Whether the prompt ends in the mark that begins reasoning.</param>
    /// <param name="param">The field that the messages came in.</param>
    public static int[] Encode(ServedModel model, ChatConversation conversation, DateTime now, out bool opensReasoning, string param = "messages")
    {
        RenderedPrompt prompt = Render(model, conversation, now, param);
        string end = prompt.Text.TrimEnd();
        opensReasoning = end.EndsWith("<think>", StringComparison.Ordinal) || end.EndsWith("<|START_THINKING|>", StringComparison.Ordinal);
        return Checked(model, WithBos(model, model.Tokenizer.Encode(prompt.Text, prompt.Trusted)), param);
    }

    public static RenderedPrompt Render(ServedModel model, ChatConversation conversation, DateTime now, string param = "messages")
    {
        RequireCouldFit(model, conversation.Messages.Sum(message => message.Length), param);
        if (conversation.Tools.Use != ToolUse.None && !model.TakesTools)
        {
            throw ApiError.InvalidValue("tools", "'tools' cannot be used: the model's chat template has no place for them").AsException();
        }

        try
        {
            JsonArray? tools = conversation.Tools.Definitions.Count == 0 ? null : [.. conversation.Tools.Definitions.Select(tool => tool.DeepClone())];
            return model.Chat.Render(new ChatPromptInput([.. conversation.Messages.Select(message => message.ToJson())], tools, Now: now, Extra: conversation.VariablesFor(model.Template)));
        }
        catch (TemplateException e)
        {
            throw ApiError.InvalidValue(param, $"the model's chat template refuses the messages: {e.Message}").AsException();
        }
    }

    public static int[] Encode(ServedModel model, CompletionPrompt prompt, string param)
    {
        if (prompt.Tokens is { } tokens)
        {
            return Checked(model, Known(model, tokens, param), param);
        }

        RequireCouldFit(model, prompt.Text!.Length, param);
        return Checked(model, WithBos(model, model.Tokenizer.Encode(prompt.Text)), param);
    }

    /// <summary>A text to embed, with the tokens that the model wants around it; ids are taken as they are.</summary>
    public static int[] EncodeText(ServedModel model, CompletionPrompt text, string param)
    {
        if (text.Text is { } characters)
        {
            RequireCouldFit(model, characters.Length, param);
        }

        int[] tokens = text.Text is { } given ? Prompt.Build(model.Tokenizer, given) : Known(model, text.Tokens!, param);
        return tokens.Length <= model.ContextLength
            ? tokens
            : throw ApiError.TextTooLong(param, tokens.Length, model.ContextLength).AsException();
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

    private static int[] Known(ServedModel model, int[] tokens, string param)
    {
        int unknown = Array.FindIndex(tokens, token => token >= model.Tokenizer.VocabularySize);
        return unknown < 0
            ? tokens
            : throw ApiError.InvalidValue(param, $"token {unknown} of the prompt is {tokens[unknown]}, but the vocabulary has {model.Tokenizer.VocabularySize} tokens").AsException();
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
