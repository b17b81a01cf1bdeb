namespace Lamina.Compute.Templates;

/// <summary>Bounds of a template's work: a template comes with a model file, which anybody may have made.</summary>
internal static class TemplateLimits
{
    public const int SourceLength = 1 << 20;

    public const int Tokens = 1 << 16;

    /// <summary>Nesting of blocks and brackets in the source.</summary>
    public const int ParseDepth = 100;

    /// <summary>Nesting of evaluation, calls included; each level costs some hundred bytes of stack.</summary>
    public const int EvaluationDepth = 500;

    /// <summary>Nesting of values that are compared or written as text.</summary>
    public const int ValueDepth = 100;

    /// <summary>Nodes evaluated and items visited.</summary>
    public const int Steps = 1_000_000;

    /// <summary>Characters read by operations on text; one that is written counts as <see cref="WriteCost"/>.</summary>
    public const long Characters = 1 << 28;

    public const int WriteCost = 4;

    /// <summary>Characters of the output and of any one text: the largest request's, which has four megabytes, and what a template writes around them.</summary>
    public const int TextLength = 5 << 20;

    /// <summary>Characters of what a template itself says is wrong.</summary>
    public const int MessageLength = 1000;

    /// <summary>Items of a range, as in Jinja2's sandbox.</summary>
    public const int RangeLength = 100_000;

    /// <summary>Items of a list that multiplication or slicing makes.</summary>
    public const int ListLength = 1_000_000;
}
