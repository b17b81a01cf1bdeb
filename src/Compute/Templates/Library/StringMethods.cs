using System.Text;
using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>Python's methods of <c>str</c>.</summary>
internal static partial class StringMethods
{
    private delegate Value Method(TextValue self, Arguments arguments, Budget budget);

    private static readonly Dictionary<string, Method> Methods = new()
    {
        ["strip"] = (self, arguments, _) => Strip(self, arguments, "strip", true, true),
        ["lstrip"] = (self, arguments, _) => Strip(self, arguments, "lstrip", true, false),
        ["rstrip"] = (self, arguments, _) => Strip(self, arguments, "rstrip", false, true),
        ["split"] = (self, arguments, budget) => Split(self, arguments, budget, fromRight: false),
        ["rsplit"] = (self, arguments, budget) => Split(self, arguments, budget, fromRight: true),
        ["splitlines"] = SplitLines,
        ["partition"] = (self, arguments, _) => Partition(self, Text(arguments, "partition"), fromRight: false),
        ["rpartition"] = (self, arguments, _) => Partition(self, Text(arguments, "rpartition"), fromRight: true),
        ["replace"] = Replace,
        ["join"] = (self, arguments, budget) => Join(self.Text, Sequences.Items(arguments.Bind("join", 1, "iterable")[0]!, budget), budget),
        ["startswith"] = (self, arguments, budget) => Affix(self, arguments, budget, "startswith", (text, part) => text.StartsWith(part)),
        ["endswith"] = (self, arguments, budget) => Affix(self, arguments, budget, "endswith", (text, part) => text.EndsWith(part)),
        ["removeprefix"] = (self, arguments, _) => Text(arguments, "removeprefix") is { Length: > 0 } prefix && self.Value.StartsWith(prefix, StringComparison.Ordinal)
            ? new TextValue(self.Text.Slice(prefix.Length, self.Text.Length - prefix.Length)) : self,
        ["removesuffix"] = (self, arguments, _) => Text(arguments, "removesuffix") is { Length: > 0 } suffix && self.Value.EndsWith(suffix, StringComparison.Ordinal)
            ? new TextValue(self.Text.Slice(0, self.Text.Length - suffix.Length)) : self,
        ["find"] = (self, arguments, _) => new IntValue(Find(self, arguments, "find", fromRight: false)),
        ["rfind"] = (self, arguments, _) => new IntValue(Find(self, arguments, "rfind", fromRight: true)),
        ["index"] = (self, arguments, _) => Index(Find(self, arguments, "index", fromRight: false)),
        ["rindex"] = (self, arguments, _) => Index(Find(self, arguments, "rindex", fromRight: true)),
        ["count"] = (self, arguments, _) => new IntValue(Count(self.Value, Text(arguments, "count"))),
        ["upper"] = (self, arguments, _) => Mapped(self, arguments, "upper", text => text.ToUpperInvariant()),
        ["lower"] = (self, arguments, _) => Mapped(self, arguments, "lower", text => text.ToLowerInvariant()),
        ["casefold"] = (self, arguments, _) => Mapped(self, arguments, "casefold", text => text.ToLowerInvariant()),
        ["capitalize"] = (self, arguments, _) => Mapped(self, arguments, "capitalize", Capitalize),
        ["title"] = (self, arguments, _) => Mapped(self, arguments, "title", text => Title(text)),
        ["swapcase"] = (self, arguments, _) => Mapped(self, arguments, "swapcase", SwapCase),
        ["expandtabs"] = (self, arguments, _) => Mapped(self, arguments, "expandtabs", ExpandTabs),
        ["center"] = (self, arguments, budget) => Pad(self, arguments, budget, "center"),
        ["ljust"] = (self, arguments, budget) => Pad(self, arguments, budget, "ljust"),
        ["rjust"] = (self, arguments, budget) => Pad(self, arguments, budget, "rjust"),
        ["zfill"] = Zfill,
        ["format"] = (self, arguments, _) => BraceFormat.Apply(self, arguments),
        ["isdigit"] = (self, _, _) => All(self, Rune.IsDigit),
        ["isdecimal"] = (self, _, _) => All(self, Rune.IsDigit),
        ["isnumeric"] = (self, _, _) => All(self, Rune.IsNumber),
        ["isalpha"] = (self, _, _) => All(self, Rune.IsLetter),
        ["isalnum"] = (self, _, _) => All(self, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isspace"] = (self, _, _) => All(self, Rune.IsWhiteSpace),
        ["isascii"] = (self, _, _) => BoolValue.Of(Ascii.IsValid(self.Value)),
        ["isupper"] = (self, _, _) => BoolValue.Of(self.Value.Any(char.IsUpper) && !self.Value.Any(char.IsLower)),
        ["islower"] = (self, _, _) => BoolValue.Of(self.Value.Any(char.IsLower) && !self.Value.Any(char.IsUpper)),
        ["istitle"] = (self, _, _) => BoolValue.Of(self.Value.Any(char.IsLetter) && Title(self.Value) == self.Value),
    };

    public static FunctionValue? Find(TextValue self, string name) => !Methods.TryGetValue(name, out Method? method) ? null
        : new FunctionValue(name, (evaluator, arguments) =>
        {
            evaluator.Budget.Read(self.Text.Length);
            Value result = method(self, arguments, evaluator.Budget);
            return self.IsEscaped && result is TextValue text ? new TextValue(text.Text, isEscaped: true) : result;
        });

    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static TextValue Join(MarkedText separator, IReadOnlyList<Value> items, Budget budget, bool anyValue = false)
    {
        MarkedTextBuilder builder = new();
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                builder.Append(separator);
            }

            builder.Append(items[i] is TextValue || anyValue ? Printing.ToText(items[i])
                : throw new TemplateException($"join needs text, item {i} is {items[i].TypeName}"));
        }

        budget.Write(builder.Length);
        return new TextValue(builder.ToMarkedText());
    }

    public static string Capitalize(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    /// <summary>Upper case after anything that is not a letter, lower case elsewhere.</summary>
    public static string Title(string text, bool atWords = false)
    {
        StringBuilder builder = new(text.Length);
        bool inWord = false;
        foreach (char c in text)
        {
            builder.Append(inWord ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));
            // the filter starts words after space and brackets alone, the method after everything but letters
            inWord = atWords ? !(IsSpace(c) || c is '-' or '(' or '{' or '[' or '<') : char.IsLetter(c);
        }

        return builder.ToString();
    }

    private static string SwapCase(string text) =>
        string.Concat(text.Select(c => char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c)));

    private static string ExpandTabs(string text)
    {
        StringBuilder builder = new();
        int column = 0;
        foreach (char c in text)
        {
            int width = c == '\t' ? 8 - column % 8 : 1;
            builder.Append(c == '\t' ? ' ' : c, width);
            column = c is '\n' or '\r' ? 0 : column + width;
        }

        return builder.ToString();
    }

    private static TextValue Mapped(TextValue self, Arguments arguments, string name, Func<string, string> map)
    {
        arguments.Bind(name);
        return new TextValue(self.Text.Derive(map(self.Value)));
    }

    private static BoolValue All(TextValue self, Func<Rune, bool> predicate) =>
        BoolValue.Of(self.Text.Length > 0 && self.Value.EnumerateRunes().All(predicate));

    private static bool All(this StringRuneEnumerator runes, Func<Rune, bool> predicate)
    {
        foreach (Rune rune in runes)
        {
            if (!predicate(rune))
            {
                return false;
            }
        }

        return true;
    }

    private static TextValue Strip(TextValue self, Arguments arguments, string name, bool left, bool right)
    {
        Value? characters = arguments.Bind(name, "chars")[0];
        string? set = characters is null or NoneValue ? null : AsText(characters, name);
        return new TextValue(self.Text.Trim(c => set is null ? IsSpace(c) : set.Contains(c), left, right));
    }

    private static TextValue Pad(TextValue self, Arguments arguments, Budget budget, string name)
    {
        Value?[] bound = arguments.Bind(name, 1, "width", "fillchar");
        int missing = (int)Math.Clamp(Integer(bound[0]!, name) - CodePoints.Count(self.Value), 0, int.MaxValue);
        budget.Write(missing);
        string fill = bound[1] is null ? " " : AsText(bound[1]!, name);
        if (fill.Length != 1)
        {
            throw new TemplateException($"{name} needs one character to fill with");
        }

        // Python puts the odd blank of an odd width on the left
        int width = missing + CodePoints.Count(self.Value);
        int left = name == "rjust" ? missing : name == "ljust" ? 0 : missing / 2 + (missing & width & 1);
        return new TextValue(new MarkedTextBuilder().Append(new string(fill[0], left)).Append(self.Text)
            .Append(new string(fill[0], missing - left)).ToMarkedText());
    }

    private static TextValue Zfill(TextValue self, Arguments arguments, Budget budget)
    {
        int missing = (int)Math.Clamp(Integer(arguments.Bind("zfill", 1, "width")[0]!, "zfill") - CodePoints.Count(self.Value), 0, int.MaxValue);
        budget.Write(missing);
        int sign = self.Text.Length > 0 && self.Value[0] is '+' or '-' ? 1 : 0;
        return new TextValue(self.Text.Derive(self.Value[..sign] + new string('0', missing) + self.Value[sign..]));
    }

    private static string Text(Arguments arguments, string name) => AsText(arguments.Bind(name, 1, "sub")[0]!, name);

    private static string AsText(Value value, string name) => value is TextValue text ? text.Value
        : throw new TemplateException(Comparison.Missing(value) ?? $"{name} needs text, found {value.TypeName}");

    private static long Integer(Value value, string name) => Numbers.TryToLong(value, out long number) ? number
        : throw new TemplateException(Comparison.Missing(value) ?? $"{name} needs an integer, found {value.TypeName}");
}
