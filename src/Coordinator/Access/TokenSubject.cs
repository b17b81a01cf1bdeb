using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.Access;

/// <summary>The name under which the subject of a token appears where keys have their id: <c>oidc:</c> before it, so that it can never be one.</summary>
public static class TokenSubject
{
    private const string Prefix = "oidc:";
    private const string HashPrefix = "sha256:";
    private const int MaxReadable = 64;

    public static bool Is(string key) => key.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Whether <see cref="Of"/> can have made the name.</summary>
    public static bool IsWellFormed(string name) => Is(name) && name[Prefix.Length..] is var subject
        && (IsPlain(subject) || (subject.StartsWith(HashPrefix, StringComparison.Ordinal) && subject.Length == HashPrefix.Length + 64 && subject[HashPrefix.Length..].All(char.IsAsciiHexDigitLower)));

    /// <summary>The subject itself where it is short and plain, else its hash.</summary>
    public static string Of(string subject) => IsPlain(subject)
        ? Prefix + subject
        : $"{Prefix}{HashPrefix}{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(subject)))}";

    private static bool IsPlain(string subject) => subject.Length is > 0 and <= MaxReadable && subject.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '@' or '|');
}
