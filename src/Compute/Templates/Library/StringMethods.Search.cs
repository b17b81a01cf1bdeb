using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

internal static partial class StringMethods
{
    private delegate bool AffixTest(ReadOnlySpan<char> text, ReadOnlySpan<char> part);

    private static ListValue Split(TextValue self, Arguments arguments, Budget budget, bool fromRight)
    {
        Value?[] bound = arguments.Bind("split", "sep", "maxsplit");
        long limit = bound[1] is null ? -1 : Integer(bound[1]!, "split");
        limit = limit < 0 ? long.MaxValue : limit;
        List<(int Start, int End)> parts = bound[0] is null or NoneValue
            ? SplitBlanks(self.Value, limit, fromRight)
            : SplitBy(self.Value, AsText(bound[0]!, "split"), limit, fromRight);
        budget.Step(parts.Count);
        return new ListValue([.. parts.Select(part => new TextValue(self.Text.Slice(part.Start, part.End - part.Start)))]);
    }

    private static List<(int, int)> SplitBy(string text, string separator, long limit, bool fromRight)
    {
        if (separator.Length == 0)
        {
            throw new TemplateException("empty separator");
        }

        List<(int, int)> parts = [];
        if (fromRight)
        {
            int end = text.Length;
            for (int at; limit > 0 && end > 0 && (at = text.AsSpan(0, end).LastIndexOf(separator)) >= 0; limit--)
            {
                parts.Add((at + separator.Length, end));
                end = at;
            }

            parts.Add((0, end));
            parts.Reverse();
            return parts;
        }

        int start = 0;
        for (int at; limit > 0 && (at = text.IndexOf(separator, start, StringComparison.Ordinal)) >= 0; limit--)
        {
            parts.Add((start, at));
            start = at + separator.Length;
        }

        parts.Add((start, text.Length));
        return parts;
    }

    private static List<(int, int)> SplitBlanks(string text, long limit, bool fromRight)
    {
        List<(int Start, int End)> words = [];
        for (int i = 0; i < text.Length;)
        {
            int start = i;
            while (i < text.Length && !IsSpace(text[i]))
            {
                i++;
            }

            if (i > start)
            {
                words.Add((start, i));
            }

            i++;
        }

        if (words.Count <= limit)
        {
            return words;
        }

        // what lies beyond the limit stays in one piece, with its blanks but those at the side of the split
        int kept = (int)limit;
        return fromRight
            ? [(0, words[words.Count - kept - 1].End), .. words[(words.Count - kept)..]]
            : [.. words[..kept], (words[kept].Start, text.Length)];
    }


    private static ListValue SplitLines(TextValue self, Arguments arguments, Budget budget)
    {
        bool keepEnds = arguments.Bind("splitlines", "keepends")[0] is { } keep && Comparison.IsTrue(keep);
        List<Value> lines = [];
        string text = self.Value;
        for (int start = 0; start < text.Length;)
        {
            int end = text.AsSpan(start).IndexOfAny("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029");
            end = end < 0 ? text.Length : start + end;
            int next = end == text.Length ? end : text.AsSpan(end).StartsWith("\r\n") ? end + 2 : end + 1;
            lines.Add(new TextValue(self.Text.Slice(start, (keepEnds ? next : end) - start)));
            start = next;
        }

        budget.Step(lines.Count);
        return new ListValue(lines);
    }

    private static ListValue Partition(TextValue self, string separator, bool fromRight)
    {
        if (separator.Length == 0)
        {
            throw new TemplateException("empty separator");
        }

        int at = fromRight ? self.Value.LastIndexOf(separator, StringComparison.Ordinal) : self.Value.IndexOf(separator, StringComparison.Ordinal);
        if (at < 0)
        {
            return fromRight ? ListValue.Tuple(TextValue.Empty, TextValue.Empty, self) : ListValue.Tuple(self, TextValue.Empty, TextValue.Empty);
        }

        int after = at + separator.Length;
        return ListValue.Tuple(
            new TextValue(self.Text.Slice(0, at)), new TextValue(self.Text.Slice(at, separator.Length)), new TextValue(self.Text.Slice(after, self.Text.Length - after)));
    }

    private static TextValue Replace(TextValue self, Arguments arguments, Budget budget)
    {
        Value?[] bound = arguments.Bind("replace", 2, "old", "new", "count");
        long limit = bound[2] is null or NoneValue ? -1 : Integer(bound[2]!, "replace");
        MarkedText replacement = bound[1] is TextValue text ? text.Text : throw new TemplateException($"replace needs text, found {bound[1]!.TypeName}");
        return new TextValue(Replace(self.Text, AsText(bound[0]!, "replace"), replacement, limit < 0 ? long.MaxValue : limit, budget));
    }

    public static MarkedText Replace(MarkedText text, string old, MarkedText replacement, long limit, Budget budget)
    {
        MarkedTextBuilder builder = new();
        int start = 0;
        for (int from = 0; limit > 0; limit--)
        {
            // an empty text stands before every character and at the end
            int at = from > text.Length ? -1 : text.Value.IndexOf(old, from, StringComparison.Ordinal);
            if (at < 0)
            {
                break;
            }

            budget.Step();
            builder.Append(text.Slice(start, at - start)).Append(replacement);
            start = at + old.Length;
            from = old.Length == 0 ? at + 1 : start;
        }

        return builder.Append(text.Slice(start, text.Length - start)).ToMarkedText();
    }

    private static BoolValue Affix(TextValue self, Arguments arguments, Budget budget, string name, AffixTest test)
    {
        Value?[] bound = arguments.Bind(name, 1, "affix", "start", "end");
        (int start, int end) = Window(self.Value, bound[1], bound[2], name);
        IReadOnlyList<Value> affixes = bound[0] is ListValue { IsTuple: true } tuple ? tuple.Items : [bound[0]!];
        budget.Step(affixes.Count);
        bool found = false;
        foreach (Value affix in affixes)
        {
            found |= start <= end && test(self.Value.AsSpan(start, end - start), AsText(affix, name));
        }

        return BoolValue.Of(found);
    }

    private static long Find(TextValue self, Arguments arguments, string name, bool fromRight)
    {
        Value?[] bound = arguments.Bind(name, 1, "sub", "start", "end");
        (int start, int end) = Window(self.Value, bound[1], bound[2], name);
        if (start > end)
        {
            return -1;
        }

        ReadOnlySpan<char> window = self.Value.AsSpan(start, end - start);
        string part = AsText(bound[0]!, name);
        int at = fromRight ? (part.Length == 0 ? window.Length : window.LastIndexOf(part)) : window.IndexOf(part);
        return at < 0 ? -1 : CodePoints.Count(self.Value[..(start + at)]);
    }

    private static IntValue Index(long at) => at < 0 ? throw new TemplateException("substring not found") : new IntValue(at);

    private static long Count(string text, string part)
    {
        if (part.Length == 0)
        {
            return CodePoints.Count(text) + 1;
        }

        long count = 0;
        for (int at = text.IndexOf(part, StringComparison.Ordinal); at >= 0; at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal))
        {
            count++;
        }

        return count;
    }

    /// <summary>UTF-16 bounds of <c>[start:end]</c>; start lies beyond end where Python finds nothing.</summary>
    private static (int Start, int End) Window(string text, Value? start, Value? end, string name)
    {
        int count = CodePoints.Count(text);
        long from = start is null or NoneValue ? 0 : Integer(start, name);
        long to = end is null or NoneValue ? count : Integer(end, name);
        from = Math.Max(from < 0 ? from + count : from, 0);
        to = Math.Clamp(to < 0 ? to + count : to, 0, count);
        return from > count ? (1, 0) : (CodePoints.Offset(text, (int)from), CodePoints.Offset(text, (int)to));
    }
}
