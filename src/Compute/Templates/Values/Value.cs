namespace Lamina.Compute.Templates.Values;

/// <summary>A value of the template language. The closed set below is all that a template can reach.</summary>
internal abstract class Value
{
    /// <summary>Python's name of the type, for error messages.</summary>
    public abstract string TypeName { get; }
}

/// <summary>What a missing variable, attribute or item gives: empty as text and sequence, an error in everything else.</summary>
internal sealed class UndefinedValue(string reason) : Value
{
    /// <summary>What is missing, as a sentence: "'x' is undefined".</summary>
    public string Reason { get; } = reason;

    public override string TypeName => "Undefined";
}

internal sealed class NoneValue : Value
{
    public static readonly NoneValue Instance = new();

    public override string TypeName => "NoneType";
}

internal sealed class BoolValue : Value
{
    public static readonly BoolValue True = new(true), False = new(false);

    private BoolValue(bool value) => Value = value;

    public bool Value { get; }

    public override string TypeName => "bool";

    public static BoolValue Of(bool value) => value ? True : False;
}

internal sealed class IntValue(long value) : Value
{
    public long Value { get; } = value;

    public override string TypeName => "int";
}

internal sealed class FloatValue(double value) : Value
{
    public double Value { get; } = value;

    public override string TypeName => "float";
}

/// <param name="isEscaped">Python's <c>Markup</c>, which <c>safe</c> and <c>escape</c> make: adding other text to it escapes that text for HTML.</param>
internal sealed class TextValue(MarkedText text, bool isEscaped = false) : Value
{
    public static readonly TextValue Empty = new(MarkedText.Empty);

    public MarkedText Text { get; } = text;

    public string Value => Text.Value;

    public bool IsEscaped { get; } = isEscaped;

    public override string TypeName => IsEscaped ? "Markup" : "str";

    /// <summary>Text that the interpreter itself made of values: untrusted.</summary>
    public static TextValue Of(string value) => new(MarkedText.FromInput(value));
}

/// <summary>What a sequence is in Python; only lists and tuples can be written as JSON.</summary>
internal enum SequenceKind
{
    List,
    Tuple,
    Range,

    /// <summary>Keys, values or items of a dictionary.</summary>
    View,
}

/// <summary>A sequence of known length: nothing can change it once made.</summary>
internal sealed class ListValue(IReadOnlyList<Value> items, SequenceKind kind = SequenceKind.List) : Value
{
    public ListValue(IReadOnlyList<Value> items, bool isTuple)
        : this(items, isTuple ? SequenceKind.Tuple : SequenceKind.List)
    {
    }

    public IReadOnlyList<Value> Items { get; } = items;

    public SequenceKind Kind { get; } = kind;

    public bool IsTuple => Kind == SequenceKind.Tuple;

    public override string TypeName => Kind switch
    {
        SequenceKind.List => "list",
        SequenceKind.Tuple => "tuple",
        SequenceKind.Range => "range",
        _ => "dict view",
    };

    public static ListValue Tuple(params Value[] items) => new(items, SequenceKind.Tuple);
}

/// <summary>What lazy filters such as <c>map</c> give: to be iterated once, of no length, and not JSON.</summary>
internal sealed class GeneratorValue(IReadOnlyList<Value> items) : Value
{
    private int _next;

    public override string TypeName => "generator";

    public IReadOnlyList<Value> TakeAll()
    {
        IReadOnlyList<Value> rest = _next == 0 ? items : [.. items.Skip(_next)];
        _next = items.Count;
        return rest;
    }

    public Value? Take() => _next < items.Count ? items[_next++] : null;
}

/// <summary>A dictionary in insertion order.</summary>
internal sealed class DictValue : Value
{
    private readonly OrderedDictionary<Value, Value> _items;

    public DictValue(IEnumerable<KeyValuePair<Value, Value>> items)
    {
        _items = new OrderedDictionary<Value, Value>(KeyComparer.Instance);
        foreach ((Value key, Value value) in items)
        {
            _items[key] = value;
        }
    }

    public IReadOnlyList<KeyValuePair<Value, Value>> Items => _items;

    public override string TypeName => "dict";

    public Value? Find(Value key) => _items.GetValueOrDefault(key);

    public Value? Find(string key) => Find(TextValue.Of(key));
}

/// <summary>The one value that a template can change: what <c>namespace()</c> makes.</summary>
internal sealed class NamespaceValue : Value
{
    public Dictionary<string, Value> Attributes { get; } = [];

    public override string TypeName => "Namespace";
}
