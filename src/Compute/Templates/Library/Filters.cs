using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>What may stand behind <c>|</c>: Jinja2's filters, but those for HTML, chance and debugging.</summary>
internal static partial class Filters
{
    private static readonly Dictionary<string, Func<Evaluator, Value, Arguments, Value>> Named = new()
    {
        ["default"] = Default,
        ["d"] = Default,
        ["string"] = (_, value, _) => value as TextValue ?? new TextValue(Printing.ToText(value)),
        ["safe"] = (_, value, _) => new TextValue(Printing.ToText(value), isEscaped: true),
        ["upper"] = (_, value, _) => Map(value, text => text.ToUpperInvariant()),
        ["lower"] = (_, value, _) => Map(value, text => text.ToLowerInvariant()),
        ["capitalize"] = (_, value, _) => Map(value, StringMethods.Capitalize),
        ["title"] = (_, value, _) => Map(value, text => StringMethods.Title(text, atWords: true)),
        ["escape"] = (_, value, _) => Markup.Escape(value),
        ["e"] = (_, value, _) => Markup.Escape(value),
        ["forceescape"] = (_, value, _) => Markup.Escape(new TextValue(Printing.ToText(value))),
        ["trim"] = Trim,
        ["replace"] = Replace,
        ["indent"] = Indent,
        ["center"] = Center,
        ["truncate"] = Truncate,
        ["wordcount"] = (_, value, _) => new IntValue(Printing.ToText(value).Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length),
        ["format"] = (evaluator, value, arguments) => PercentFormat.Apply(new TextValue(Printing.ToText(value)),
            arguments.Keywords.Count == 0 ? arguments.Positional : throw new TemplateException("format takes no keyword arguments"), evaluator.Budget),
        ["join"] = Join,
        ["tojson"] = ToJson,
        ["urlencode"] = (_, value, _) => TextValue.Of(Uri.EscapeDataString(Printing.ToText(value).Value).Replace("%2F", "/", StringComparison.Ordinal)),
        ["int"] = ToInt,
        ["float"] = ToFloat,
        ["abs"] = (_, value, _) => value switch
        {
            FloatValue number => new FloatValue(Math.Abs(number.Value)),
            _ when Numbers.TryToLong(value, out long number) => number < 0 ? Numbers.Calculate("-", new IntValue(0), value) : new IntValue(number),
            _ => throw new TemplateException(Comparison.Missing(value) ?? $"abs needs a number, found {value.TypeName}"),
        },
        ["round"] = Round,
        ["filesizeformat"] = FileSize,
        ["length"] = (_, value, _) => new IntValue(Sequences.Count(value)),
        ["count"] = (_, value, _) => new IntValue(Sequences.Count(value)),
        ["list"] = (evaluator, value, _) => new ListValue(Sequences.Items(value, evaluator.Budget)),
        ["items"] = Items,
        ["first"] = (evaluator, value, _) => value is GeneratorValue generator
            ? generator.Take() ?? new UndefinedValue("No first item, sequence was empty.")
            : Sequences.Items(value, evaluator.Budget) is [var first, ..] ? first : new UndefinedValue("No first item, sequence was empty."),
        ["last"] = (evaluator, value, _) => Sequences.Items(value, evaluator.Budget) is [.., var last] ? last : new UndefinedValue("No last item, sequence was empty."),
        ["reverse"] = Reverse,
        ["sum"] = Sum,
        ["min"] = (evaluator, value, arguments) => Extreme(evaluator, value, arguments, "min", -1),
        ["max"] = (evaluator, value, arguments) => Extreme(evaluator, value, arguments, "max", 1),
        ["sort"] = Sort,
        ["dictsort"] = DictSort,
        ["unique"] = Unique,
        ["groupby"] = GroupBy,
        ["batch"] = Batch,
        ["slice"] = Slices,
        ["attr"] = (_, value, arguments) => Attributes.Get(value, Printing.ToText(arguments.Bind("attr", 1, "name")[0]!).Value),
        ["map"] = MapItems,
        ["select"] = (evaluator, value, arguments) => Select(evaluator, value, arguments, wanted: true),
        ["reject"] = (evaluator, value, arguments) => Select(evaluator, value, arguments, wanted: false),
        ["selectattr"] = (evaluator, value, arguments) => SelectByAttribute(evaluator, value, arguments, wanted: true),
        ["rejectattr"] = (evaluator, value, arguments) => SelectByAttribute(evaluator, value, arguments, wanted: false),
    };

    public static Func<Evaluator, Value, Arguments, Value>? Find(string name) => Named.GetValueOrDefault(name);

    private static Value Default(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("default", "default_value", "boolean");
        bool orFalse = bound[1] is not null && Comparison.IsTrue(bound[1]!);
        return value is UndefinedValue || (orFalse && !Comparison.IsTrue(value)) ? bound[0] ?? TextValue.Empty : value;
    }

    private static Value ToInt(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("int", "default", "base");
        Value otherwise = bound[0] ?? new IntValue(0);
        int numberBase = bound[1] is null ? 10 : (int)Math.Clamp(Integer(bound[1]!, "int"), -1, 37);
        switch (value)
        {
            case FloatValue number:
                return Math.Abs(number.Value) < long.MaxValue ? new IntValue((long)Math.Truncate(number.Value)) : otherwise;
            case TextValue text:
                return NumberText.TryInteger(text.Value, numberBase, out long parsed) ? new IntValue(parsed)
                    : NumberText.TryFloat(text.Value, out double real) && Math.Abs(real) < long.MaxValue ? new IntValue((long)Math.Truncate(real))
                    : otherwise;
            case UndefinedValue undefined:
                throw new TemplateException(undefined.Reason);
            default:
                return Numbers.TryToLong(value, out long whole) ? new IntValue(whole) : otherwise;
        }
    }

    private static Value ToFloat(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value otherwise = arguments.Bind("float", "default")[0] ?? new FloatValue(0);
        return value switch
        {
            TextValue text => NumberText.TryFloat(text.Value, out double parsed) ? new FloatValue(parsed) : otherwise,
            UndefinedValue undefined => throw new TemplateException(undefined.Reason),
            _ => Numbers.IsNumber(value) ? new FloatValue(Numbers.ToDouble(value)) : otherwise,
        };
    }

    private static Value Round(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("round", "precision", "method");
        long precision = bound[0] is null ? 0 : Integer(bound[0]!, "round");
        string method = bound[1] is null ? "common" : Printing.ToText(bound[1]!).Value;
        if (precision is < -15 or > 15)
        {
            throw new TemplateException($"round to {precision} digits is not supported");
        }

        if (method == "common" && precision >= 0 && Numbers.TryToLong(value, out long whole))
        {
            return new IntValue(whole);
        }

        double number = Numbers.ToDouble(value), scale = Math.Pow(10, precision);
        return new FloatValue(method switch
        {
            "common" => precision >= 0 ? Math.Round(number, (int)precision, MidpointRounding.ToEven) : Math.Round(number * scale, MidpointRounding.ToEven) / scale,
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw new TemplateException("method must be common, ceil or floor"),
        });
    }

    private static TextValue FileSize(Evaluator evaluator, Value value, Arguments arguments)
    {
        bool binary = arguments.Bind("filesizeformat", "binary")[0] is { } flag && Comparison.IsTrue(flag);
        double bytes = Numbers.ToDouble(value), unit = binary ? 1024 : 1000;
        if (bytes < unit)
        {
            return TextValue.Of(bytes == 1 ? "1 Byte" : FormattableString.Invariant($"{Math.Truncate(bytes)} Bytes"));
        }

        string[] prefixes = binary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        int power = 1;
        while (power < prefixes.Length && bytes >= Math.Pow(unit, power + 1))
        {
            power++;
        }

        return TextValue.Of(FormattableString.Invariant($"{bytes / Math.Pow(unit, power):F1} {prefixes[power - 1]}"));
    }

    private static long Integer(Value value, string name) => Numbers.TryToLong(value, out long number) ? number
        : throw new TemplateException(Comparison.Missing(value) ?? $"{name} needs an integer, found {value.TypeName}");
}
