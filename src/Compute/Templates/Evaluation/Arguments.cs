using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>Evaluated arguments of a call.</summary>
internal sealed record Arguments(IReadOnlyList<Value> Positional, IReadOnlyList<KeyValuePair<string, Value>> Keywords)
{
    public static readonly Arguments None = new([], []);

    public static Arguments Of(params Value[] positional) => new(positional, []);

    /// <summary>One value per name, null where none was given; too many or unknown arguments are an error.</summary>
    public Value?[] Bind(string callee, params ReadOnlySpan<string> names)
    {
        if (Positional.Count > names.Length)
        {
            throw new TemplateException($"{callee} takes at most {names.Length} arguments, {Positional.Count} were given");
        }

        Value?[] bound = new Value?[names.Length];
        for (int i = 0; i < Positional.Count; i++)
        {
            bound[i] = Positional[i];
        }

        foreach ((string name, Value value) in Keywords)
        {
            int index = names.IndexOf(name);
            if (index < 0 || bound[index] is not null)
            {
                throw new TemplateException(index < 0 ? $"{callee} has no argument '{name}'" : $"{callee} got the argument '{name}' twice");
            }

            bound[index] = value;
        }

        return bound;
    }

    /// <summary>As <see cref="Bind"/>, with the first <paramref name="required"/> of them present.</summary>
    public Value?[] Bind(string callee, int required, params ReadOnlySpan<string> names)
    {
        Value?[] bound = Bind(callee, names);
        for (int i = 0; i < required; i++)
        {
            if (bound[i] is null)
            {
                throw new TemplateException($"{callee} needs the argument '{names[i]}'");
            }
        }

        return bound;
    }
}
