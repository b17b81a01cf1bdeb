namespace Lamina.Cluster.Messages;

/// <summary>
/// Rule for tenants, nodes and coordinators: <c>^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$</c>, a DNS label. Such names need no escaping in URIs, paths,
/// metric labels and Akka paths, and joining two of them with any other character cannot collide.
/// </summary>
public static class Names
{
    public const int MaxLength = 63;

    public static bool IsValid(string? name) => name is not null && IsLabel(name);

    /// <summary>
    /// A deployment: 1 to 128 letters, digits, dots, underscores and hyphens, a letter or digit at both ends, as model files are named. Such names need no
    /// escaping in URIs and Akka paths either.
    /// </summary>
    public static bool IsValidModel(string? name)
    {
        if (name is null or { Length: 0 or > 128 } || !char.IsAsciiLetterOrDigit(name[0]) || !char.IsAsciiLetterOrDigit(name[^1]))
        {
            return false;
        }

        foreach (char c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-'))
            {
                return false;
            }
        }

        return true;
    }

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
