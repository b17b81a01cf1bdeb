using System.Security.Cryptography;
using System.Text;

namespace Lamina.Coordinator.Audit;

/// <summary>
/// The form of a log: a line for each record, <c>HASH JSON</c>, where HASH is SHA-256 over the hash of the line before (its 32 bytes; zeros for the first) and the JSON.
/// A line that is changed, left out or put in breaks the chain at its place; lines cut off at the end show by comparing number and hash of the last with what was noted elsewhere.
/// </summary>
internal static class AuditChain
{
    public const int HashLength = SHA256.HashSizeInBytes;

    public static byte[] Start { get; } = new byte[HashLength];

    public static byte[] Next(ReadOnlySpan<byte> previous, ReadOnlySpan<byte> json)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(previous);
        hash.AppendData(json);
        return hash.GetHashAndReset();
    }

    public static byte[] Line(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> json) => [.. Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash)), (byte)' ', .. json, (byte)'\n'];

    /// <summary>Takes a line apart; false when it has another form.</summary>
    public static bool TryParse(string line, out byte[] hash, out byte[] json)
    {
        hash = json = [];
        if (line.Length < (2 * HashLength) + 2 || line[2 * HashLength] != ' ' || !line.AsSpan(0, 2 * HashLength).ContainsOnlyHex())
        {
            return false;
        }

        hash = Convert.FromHexString(line.AsSpan(0, 2 * HashLength));
        json = Encoding.UTF8.GetBytes(line[((2 * HashLength) + 1)..]);
        return true;
    }

    private static bool ContainsOnlyHex(this ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (!char.IsAsciiHexDigitLower(c))
            {
                return false;
            }
        }

        return true;
    }
}
