namespace Lamina.Coordinator.Access;

/// <summary>What a key may do.</summary>
[Flags]
public enum KeyScopes
{
    None = 0,

    /// <summary>Ask models.</summary>
    Inference = 1,

    /// <summary>Read usage, status and metrics of the tenant.</summary>
    Usage = 2,

    /// <summary>Manage: the tenant's own keys, or the installation where the key is an operator's.</summary>
    Admin = 4,
}

/// <summary>Scopes as texts: names joined by commas.</summary>
public static class KeyScopeNames
{
    private static readonly (KeyScopes Scope, string Name)[] s_names = [(KeyScopes.Inference, "inference"), (KeyScopes.Usage, "usage"), (KeyScopes.Admin, "admin")];

    public static string Format(KeyScopes scopes) => string.Join(',', s_names.Where(pair => scopes.HasFlag(pair.Scope)).Select(pair => pair.Name));

    public static bool TryParse(string name, out KeyScopes scope)
    {
        scope = Array.Find(s_names, pair => pair.Name == name).Scope;
        return scope != KeyScopes.None;
    }

    /// <summary>Throws <see cref="ArgumentException"/> with one sentence.</summary>
    public static KeyScopes Parse(IEnumerable<string> names)
    {
        KeyScopes scopes = KeyScopes.None;
        foreach (string name in names)
        {
            scopes |= TryParse(name, out KeyScopes scope) ? scope : throw new ArgumentException($"the scope is '{name}', expected inference, usage or admin");
        }

        return scopes != KeyScopes.None ? scopes : throw new ArgumentException("a key needs at least one scope: inference, usage or admin");
    }

    /// <summary>Those of a stored key. One that a newer version added grants nothing here, and hides no other key.</summary>
    public static KeyScopes Known(string names)
    {
        KeyScopes scopes = KeyScopes.None;
        foreach (string name in names.Split(','))
        {
            scopes |= TryParse(name, out KeyScopes scope) ? scope : KeyScopes.None;
        }

        return scopes;
    }

    public static KeyScopes Parse(string names) => Parse(names.Split(','));
}
