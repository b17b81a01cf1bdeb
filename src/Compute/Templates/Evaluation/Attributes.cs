using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>What stands behind a dot or in brackets. Only the tables of this language: nothing of .NET can be reached.</summary>
internal static class Attributes
{
    /// <summary><c>value.name</c>: an attribute or method, else an item of that key.</summary>
    public static Value Get(Value value, string name)
    {
        if (value is UndefinedValue undefined)
        {
            throw new TemplateException(undefined.Reason);
        }

        return Own(value, name) ?? (value as DictValue)?.Find(name) ?? Missing(value, name);
    }

    /// <summary><c>value[index]</c>: an item, else an attribute of that name.</summary>
    public static Value Item(Value value, Value index, Budget budget)
    {
        switch (value)
        {
            case UndefinedValue undefined:
                throw new TemplateException(undefined.Reason);
            case DictValue dict when index is not (ListValue { IsTuple: false } or DictValue or UndefinedValue):
                if (index is TextValue key)
                {
                    budget.Read(key.Text.Length);
                }

                return dict.Find(index) ?? (index is TextValue name ? Own(value, name.Value) : null) ?? Missing(value, Printing.ToText(index).Value);
            case ListValue { Kind: not SequenceKind.View } list when Numbers.TryToLong(index, out long at):
                return Sequences.At(list.Items, at) ?? Missing(value, Printing.ToText(index).Value);
            case TextValue text when Numbers.TryToLong(index, out long at):
                budget.Read(text.Text.Length);
                return Sequences.At(text.Text, at) ?? Missing(value, Printing.ToText(index).Value);
            default:
                return (index is TextValue attribute ? Own(value, attribute.Value) : null) ?? Missing(value, Printing.ToText(index).Value);
        }
    }

    private static Value? Own(Value value, string name) => value switch
    {
        TextValue text => StringMethods.Find(text, name),
        DictValue dict => ContainerMethods.Find(dict, name),
        ListValue list => ContainerMethods.Find(list, name),
        NamespaceValue space => space.Attributes.GetValueOrDefault(name),
        LoopValue loop => LoopAttributes.Find(loop, name),
        MacroValue macro when name == "name" => TextValue.Of(macro.Name),
        _ => null,
    };

    private static UndefinedValue Missing(Value value, string name) => new($"'{value.TypeName} object' has no attribute '{name}'");
}
