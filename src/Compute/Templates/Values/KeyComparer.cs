using Lamina.Compute.Templates.Evaluation;

namespace Lamina.Compute.Templates.Values;

/// <summary>Equality of dictionary keys as Python has it, for scalars and tuples of scalars.</summary>
internal sealed class KeyComparer : IEqualityComparer<Value>
{
    public static readonly KeyComparer Instance = new();

    public bool Equals(Value? x, Value? y) => Comparison.AreEqual(x!, y!, new Budget());

    public int GetHashCode(Value value)
    {
        if (value is not ListValue { IsTuple: true } tuple)
        {
            return Scalar(value);
        }

        HashCode hash = default;
        foreach (Value item in tuple.Items)
        {
            hash.Add(Scalar(item));
        }

        return hash.ToHashCode();
    }

    private static int Scalar(Value value) => value switch
    {
        TextValue text => text.Value.GetHashCode(StringComparison.Ordinal),
        IntValue or FloatValue or BoolValue => Numbers.ToDouble(value).GetHashCode(),
        NoneValue => 0,
        _ => throw new TemplateException($"a {value.TypeName} cannot be a key here"),
    };
}
