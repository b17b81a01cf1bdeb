using System.Text;

namespace Lamina.Compute.Templates.Values;

/// <summary>Collects marked text; neighbouring trusted ranges become one.</summary>
internal sealed class MarkedTextBuilder
{
    private readonly StringBuilder _text = new();
    private readonly List<(int Start, int End)> _trusted = [];

    public int Length => _text.Length;

    public MarkedTextBuilder Append(MarkedText text)
    {
        Check(text.Length);
        foreach ((int start, int end) in text.Trusted)
        {
            MarkedText.Mark(_trusted, _text.Length + start, _text.Length + end);
        }

        _text.Append(text.Value);
        return this;
    }

    /// <summary>Appends untrusted text.</summary>
    public MarkedTextBuilder Append(string text)
    {
        Check(text.Length);
        _text.Append(text);
        return this;
    }

    public MarkedText ToMarkedText() => MarkedText.Build(_text.ToString(), _trusted);

    public RenderedPrompt ToPrompt() => new(_text.ToString(), [.. _trusted.Select(range => range.Start..range.End)]);

    private void Check(int added)
    {
        if (_text.Length + (long)added > TemplateLimits.TextLength)
        {
            throw new TemplateException($"a text grew beyond {TemplateLimits.TextLength} characters");
        }
    }
}
