using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>Variables of a block; what it does not have is looked up outside, what it sets stays inside.</summary>
internal sealed class Scope(Scope? parent)
{
    private Dictionary<string, Value>? _variables;

    public Value? Find(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._variables is not null && scope._variables.TryGetValue(name, out Value? value))
            {
                return value;
            }
        }

        return null;
    }

    public Scope? Parent { get; } = parent;

    public void Set(string name, Value value) => (_variables ??= [])[name] = value;
}
