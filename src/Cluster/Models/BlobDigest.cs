using System.Security.Cryptography;

namespace Lamina.Cluster.Models;

/// <summary>SHA-256 of a blob, the only name that blobs have. Written <c>sha256-</c> and 64 lower-case hexadecimal digits, as in the store's file names.</summary>
public readonly record struct BlobDigest
{
    private const string Prefix = "sha256-";

    private readonly string? _text;

    private BlobDigest(string text) => _text = text;

    public static BlobDigest Of(ReadOnlySpan<byte> content) => FromHash(SHA256.HashData(content));

    /// <param name="hash">The 32 bytes of a finished SHA-256.</param>
    public static BlobDigest FromHash(ReadOnlySpan<byte> hash)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(hash.Length, SHA256.HashSizeInBytes);
        return new BlobDigest(Prefix + Convert.ToHexStringLower(hash));
    }

    /// <summary>False unless the text is exactly the canonical form, so that a digest is always safe as a file name.</summary>
    public static bool TryParse(string? text, out BlobDigest digest)
    {
        if (text is { Length: 71 } && text.StartsWith(Prefix, StringComparison.Ordinal) && !text.AsSpan(Prefix.Length).ContainsAnyExcept("0123456789abcdef"))
        {
            digest = new BlobDigest(text);
            return true;
        }

        digest = default;
        return false;
    }

    /// <summary>Throws <see cref="InvalidDataException"/> when the text is not a digest.</summary>
    public static BlobDigest Parse(string? text) =>
        TryParse(text, out BlobDigest digest) ? digest : throw new InvalidDataException("a digest is \"sha256-\" and 64 lower-case hexadecimal digits");

    public override string ToString() => _text ?? throw new InvalidOperationException("an empty digest was used");
}
