namespace Lamina.Compute.Templates;

/// <summary>Text made by a template, with the ranges that come from the template itself and may name control tokens.</summary>
public sealed record RenderedPrompt(string Text, IReadOnlyList<Range> Trusted);

/// <summary>A chat template: Jinja as Hugging Face configures it, in a sandbox with budgets for steps, depth and output. Immutable and thread-safe.</summary>
public sealed class ChatTemplate
{
    /// <summary>Throws <see cref="TemplateException"/> with line and reason when the source is malformed or too deep.</summary>
    public static ChatTemplate Parse(string source) => throw new NotImplementedException();

    /// <summary>Throws <see cref="TemplateException"/> when the template raises, fails or exceeds a budget.</summary>
    public RenderedPrompt Render(TemplateInput input) => throw new NotImplementedException();
}

/// <summary>Variables of a template, as JSON values; everything under them is untrusted text.</summary>
/// <param name="Variables">At least <c>messages</c>, <c>add_generation_prompt</c>, <c>bos_token</c>, <c>eos_token</c>; the latter two trusted.</param>
public sealed record TemplateInput(System.Text.Json.Nodes.JsonObject Variables);

/// <summary>A template that cannot be parsed or rendered; the message is for the person who caused it.</summary>
public sealed class TemplateException(string message) : Exception(message);
