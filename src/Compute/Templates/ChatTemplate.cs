using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Syntax;

namespace Lamina.Compute.Templates;

/// <summary>Text made by a template, with the ranges that come from the template itself and may name control tokens.</summary>
public sealed record RenderedPrompt(string Text, IReadOnlyList<Range> Trusted);

/// <summary>A chat template: Jinja as Hugging Face configures it, in a sandbox with budgets for steps, depth and output. Immutable and thread-safe.</summary>
public sealed class ChatTemplate
{
    private readonly IReadOnlyList<Statement> _body;

    private ChatTemplate(IReadOnlyList<Statement> body) => _body = body;

    /// <summary>Throws <see cref="TemplateException"/> with line and reason when the source is malformed or too deep.</summary>
    public static ChatTemplate Parse(string source)
    {
        if (source.Length > TemplateLimits.SourceLength)
        {
            throw new TemplateException($"the template has {source.Length} characters; at most {TemplateLimits.SourceLength} are allowed");
        }

        return new ChatTemplate(new Parser(new Lexer(source).Tokenize()).ParseTemplate());
    }

    /// <summary>Throws <see cref="TemplateException"/> when the template raises, fails or exceeds a budget.</summary>
    public RenderedPrompt Render(TemplateInput input) => new Evaluator(input).Render(_body);
}
