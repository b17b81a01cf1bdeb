using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.Access;

/// <summary>The name under which the subject of a token appears where keys have their id: <c>oidc:</c> before it, so that it can never be one.</summary>
public static class TokenSubject
{
    private const string Prefix = "oidc:";
    private const int MaxReadable = 64;

    public static bool Is(string key) => key.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>The subject itself where it is short and plain, else its hash.</summary>
    public static string Of(string subject) => subject.Length <= MaxReadable && subject.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '@' or '|')
        ? Prefix + subject
        : $"{Prefix}sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(subject)))}";
}
