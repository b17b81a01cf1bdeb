using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.Access;

/// <summary>
/// A key as its owner holds it: <c>lam_ID_SECRET</c>, where ID is 12 hexadecimal digits, by which it is found, and SECRET 256 random bits in base64url. The prefix lets
/// scanners of source code find keys that were left there.
/// </summary>
public static class ApiKeyText
{
    public const string Prefix = "lam_";

    private const int IdLength = 12;
    private const int SecretBytes = 32;
    private const int SecretLength = 43;

    /// <summary>Characters of a key.</summary>
    public const int Length = 4 + IdLength + 1 + SecretLength;

    private static readonly SearchValues<char> s_idCharacters = SearchValues.Create("0123456789abcdef");
    private static readonly SearchValues<char> s_secretCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    public static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdLength / 2));

    /// <summary>Whether the text has the form of a key's id.</summary>
    public static bool IsId(string text) => text.Length == IdLength && !text.AsSpan().ContainsAnyExcept(s_idCharacters);

    /// <summary>A new key with the id.</summary>
    public static string Create(string id) => $"{Prefix}{id}_{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes))}";

    /// <summary>Whether the text has a key's form, and which id it claims.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out string? id)
    {
        id = null;
        if (text.Length != Length || !text.StartsWith(Prefix) || text[Prefix.Length + IdLength] != '_')
        {
            return false;
        }

        if (text.Slice(Prefix.Length, IdLength).ContainsAnyExcept(s_idCharacters) || text[(Prefix.Length + IdLength + 1)..].ContainsAnyExcept(s_secretCharacters))
        {
            return false;
        }

        id = new string(text.Slice(Prefix.Length, IdLength));
        return true;
    }

    /// <summary>What is stored of a key. No copy of the key is left.</summary>
    /// <param name="key">Of a key's form.</param>
    internal static byte[] Hash(State.ServerSecret secret, ReadOnlySpan<char> key)
    {
        Span<byte> bytes = stackalloc byte[Length];
        int count = Encoding.ASCII.GetBytes(key, bytes);
        byte[] hash = secret.Mac(bytes[..count]);
        CryptographicOperations.ZeroMemory(bytes);
        return hash;
    }
}
