using System.Text;

namespace Lamina.Compute.Grammar;

/// <summary>What a rule matches, before it is written out as alternatives of bytes and rules.</summary>
internal abstract record Pattern
{
    public static readonly Pattern Empty = new SequencePattern([]);

    public static Pattern Text(string text) => new BytesPattern(Encoding.UTF8.GetBytes(text));

    public static Pattern Sequence(params Pattern[] parts) => new SequencePattern(parts);

    public static Pattern Choice(params Pattern[] options) => options.Length == 1 ? options[0] : new ChoicePattern(options);

    public static Pattern Optional(Pattern body) => new RepeatPattern(body, 0, 1);

    public static Pattern Many(Pattern body) => new RepeatPattern(body, 0, null);

    public static Pattern Repeat(Pattern body, int min, int? max) => new RepeatPattern(body, min, max);

    public static Pattern Set(CodePointSet set) => new SetPattern(set);

    public static Pattern Rule(int rule) => new RulePattern(rule);
}

internal sealed record BytesPattern(byte[] Bytes) : Pattern;

internal sealed record SetPattern(CodePointSet Members) : Pattern;

internal sealed record SequencePattern(IReadOnlyList<Pattern> Parts) : Pattern;

internal sealed record ChoicePattern(IReadOnlyList<Pattern> Options) : Pattern;

/// <param name="Max">Null means without end.</param>
internal sealed record RepeatPattern(Pattern Body, int Min, int? Max) : Pattern;

internal sealed record RulePattern(int Index) : Pattern;
