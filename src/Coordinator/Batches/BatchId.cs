using System.Security.Cryptography;

namespace Lamina.Coordinator.Batches;

/// <summary>Names of files and batches: a prefix and 24 hexadecimal digits, drawn at random. Only such names ever become part of a path.</summary>
internal static class BatchId
{
    private const int Digits = 24;

    public static string NewFile() => "file-" + Random();

    public static string NewBatch() => "batch_" + Random();

    public static bool IsFile(string? id) => Is(id, "file-");

    public static bool IsBatch(string? id) => Is(id, "batch_");

    private static string Random() => RandomNumberGenerator.GetHexString(Digits, lowercase: true);

    private static bool Is(string? id, string prefix) =>
        id is not null && id.Length == prefix.Length + Digits && id.StartsWith(prefix, StringComparison.Ordinal) && id.AsSpan(prefix.Length).IndexOfAnyExcept("0123456789abcdef") < 0;
}
