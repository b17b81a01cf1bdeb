namespace Lamina.Cluster.Messages;

/// <summary>
/// Rule for tenants, nodes, coordinators and deployments: <c>^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$</c>, a DNS label. Such names need no escaping in URIs, paths,
/// metric labels and Akka paths, and joining two of them with any other character cannot collide.
/// </summary>
public static class Names
{
    public const int MaxLength = 63;

    public static bool IsValid(string? name) => name is not null && IsLabel(name);

    /// <summary>An installation: labels joined with dots, at most 253 characters.</summary>
    public static bool IsValidInstallation(string? name)
    {
        if (name is null or { Length: 0 or > 253 })
        {
            return false;
        }

        foreach (Range label in name.AsSpan().Split('.'))
        {
            if (!IsLabel(name.AsSpan(label)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The name itself, or an <see cref="ArgumentException"/> that says what <paramref name="what"/> may look like.</summary>
    public static string Require(string? name, string what) => IsValid(name)
        ? name!
        : throw new ArgumentException($"{what} '{name}' is not a valid name: use 1 to 63 lower-case letters, digits and inner hyphens");

    private static bool IsLabel(ReadOnlySpan<char> label)
    {
        if (label.Length is 0 or > MaxLength || label[0] == '-' || label[^1] == '-')
        {
            return false;
        }

        foreach (char c in label)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '-'))
            {
                return false;
            }
        }

        return true;
    }
}
