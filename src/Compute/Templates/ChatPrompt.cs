using System.Text.Json.Nodes;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Templates;

/// <summary>What a chat prompt is made of, in OpenAI's JSON shapes.</summary>
/// <param name="Tools">Definitions of tools, or null.</param>
/// <param name="Now">What the template's clock shows; null hides it.</param>
/// <param name="Extra">Further variables, which cannot replace the ones made here.</param>
public sealed record ChatPromptInput(
    JsonArray Messages, JsonArray? Tools = null, bool AddGenerationPrompt = true, DateTime? Now = null, JsonObject? Extra = null);

/// <summary>Makes prompts from conversations with a model's templates, ChatML where it has none. Immutable and thread-safe.</summary>
public sealed class ChatPrompt
{
    /// <summary>Template of models that bring none.</summary>
    public const string ChatMl =
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    private const string Key = "tokenizer.chat_template";

    private readonly ChatTemplate _template;
    private readonly ChatTemplate? _toolTemplate;
    private readonly ChatTokens _tokens;
    private readonly bool _takesSystem;

    /// <param name="toolTemplate">Used instead of <paramref name="template"/> when there are tools; null where one serves both.</param>
    public ChatPrompt(ChatTemplate template, ChatTemplate? toolTemplate, ChatTokens tokens)
    {
        _template = template;
        _toolTemplate = toolTemplate;
        _tokens = tokens;
        _takesSystem = TakesSystem();
    }

    /// <summary>Reads <c>tokenizer.chat_template</c> and <c>tokenizer.chat_template.tool_use</c>. Throws <see cref="TemplateException"/> when one is malformed.</summary>
    public static ChatPrompt FromMetadata(GgufMetadata metadata, Tokenizer tokenizer)
    {
        string? tools = metadata.FindString(Key + ".tool_use");
        return new ChatPrompt(
            ChatTemplate.Parse(metadata.FindString(Key) ?? tools ?? ChatMl), tools is null ? null : ChatTemplate.Parse(tools), ChatTokens.Of(tokenizer));
    }

    /// <summary>
    /// The prompt without the BOS in front or the EOS behind that the tokenizer adds itself. Throws <see cref="TemplateException"/> when the template refuses
    /// the conversation.
    /// </summary>
    public RenderedPrompt Render(ChatPromptInput input)
    {
        JsonArray messages = _takesSystem ? input.Messages : MessageForms.MergeSystem(input.Messages);
        RenderedPrompt prompt;
        try
        {
            prompt = Render(input, MessageForms.ParseArguments(messages));
        }
        catch (TemplateException) when (MessageForms.HasTextArguments(messages))
        {
            // some templates join a call's arguments as text, as the API carries them
            prompt = Render(input, messages);
        }

        return Trim(prompt);
    }

    private RenderedPrompt Render(ChatPromptInput input, JsonArray messages)
    {
        // tools and documents are there even when they are none: templates are tried that way by their makers
        JsonObject variables = input.Extra?.DeepClone().AsObject() ?? [];
        variables["messages"] = messages.DeepClone();
        variables["tools"] = input.Tools?.DeepClone();
        variables["documents"] = null;
        variables["add_generation_prompt"] = input.AddGenerationPrompt;
        variables["bos_token"] = _tokens.Bos;
        variables["eos_token"] = _tokens.Eos;
        return (input.Tools is null ? _template : _toolTemplate ?? _template).Render(new TemplateInput(variables, input.Now));
    }

    private RenderedPrompt Trim(RenderedPrompt prompt)
    {
        string text = prompt.Text;
        int start = _tokens.AddsBos && _tokens.Bos.Length > 0 && text.StartsWith(_tokens.Bos, StringComparison.Ordinal) ? _tokens.Bos.Length : 0;
        int end = text.Length;
        if (_tokens.AddsEos && _tokens.Eos.Length > 0 && end - start >= _tokens.Eos.Length && text.EndsWith(_tokens.Eos, StringComparison.Ordinal))
        {
            end -= _tokens.Eos.Length;
        }

        Range[] trusted = [.. prompt.Trusted
            .Select(range => (Start: Math.Max(range.Start.Value, start) - start, End: Math.Min(range.End.Value, end) - start))
            .Where(range => range.Start < range.End)
            .Select(range => range.Start..range.End)];
        return new RenderedPrompt(text[start..end], trusted);
    }

    /// <summary>Whether a system message shows in the prompt: some templates drop or refuse it, and a dropped instruction must not go unnoticed.</summary>
    private bool TakesSystem()
    {
        const string Probe = "probe of the system message";
        JsonArray messages =
        [
            new JsonObject { ["role"] = "system", ["content"] = Probe },
            new JsonObject { ["role"] = "user", ["content"] = "question" },
        ];
        try
        {
            return Render(new ChatPromptInput(messages, Now: DateTime.UnixEpoch), messages).Text.Contains(Probe, StringComparison.Ordinal);
        }
        catch (TemplateException)
        {
            return false;
        }
    }
}
