using System.Globalization;
using System.Text.Json;

namespace Lamina.Coordinator.Audit;

/// <summary>What checking a log gave.</summary>
/// <param name="Problem">One sentence that names file and line; null when the chain holds.</param>
/// <param name="LastHash">Of the last line that holds, in hexadecimal; note it elsewhere to notice later what is cut off at the end.</param>
public sealed record AuditVerdict(long Records, string LastHash, string? Problem)
{
    /// <summary>Whether the chain holds, but is not the one that an anchor was noted of, or ends before it.</summary>
    public bool IsOnlyTheAnchor { get; init; }
}

/// <summary>Reads logs and checks their chains.</summary>
public static class AuditVerifier
{
    /// <summary>The logs of a folder by coordinator, each a list of files in order.</summary>
    public static IReadOnlyDictionary<string, string[]> Find(string folder) => Directory.GetFiles(folder, "*.audit")
        .GroupBy(path => Path.GetFileNameWithoutExtension(path)[..^(AuditLog.NumberDigits + 1)])
        .ToDictionary(group => group.Key, group => group.Order(StringComparer.Ordinal).ToArray());

    /// <param name="files">Of one log, in order.</param>
    /// <param name="anchors">What was noted earlier of the log and must be found; null for nothing.</param>
    /// <param name="record">Called with each record that holds.</param>
    public static AuditVerdict Verify(IReadOnlyList<string> files, IReadOnlyList<AuditHead>? anchors = null, Action<string>? record = null)
    {
        byte[] previous = AuditChain.Start;
        long number = 0;
        string? other = null;
        foreach (string file in files)
        {
            int line = 0;
            foreach (string text in File.ReadLines(file))
            {
                line++;
                string place = $"{Path.GetFileName(file)} line {line.ToString(CultureInfo.InvariantCulture)}";
                string? broken = Check(text, previous, number + 1, out byte[] hash, out byte[] json);
                if (broken is not null)
                {
                    return new AuditVerdict(number, Convert.ToHexStringLower(previous), $"{place}: {broken}");
                }

                number++;
                previous = hash;
                record?.Invoke(System.Text.Encoding.UTF8.GetString(json));
                if (anchors?.Any(noted => noted.Number == number && !string.Equals(noted.Hash, Convert.ToHexStringLower(hash), StringComparison.OrdinalIgnoreCase)) == true)
                {
                    other ??= $"{place}: record {number} has another hash than was noted";
                }
            }
        }

        string? problem = anchors?.MaxBy(noted => noted.Number) is { } last && last.Number > number ? $"the log ends at record {number}, but record {last.Number} was noted" : other;
        return new AuditVerdict(number, Convert.ToHexStringLower(previous), problem) { IsOnlyTheAnchor = problem is not null };
    }

    private static string? Check(string text, byte[] previous, long number, out byte[] hash, out byte[] json)
    {
        if (!AuditChain.TryParse(text, out hash, out json))
        {
            return "the line is no record";
        }

        if (!hash.AsSpan().SequenceEqual(AuditChain.Next(previous, json)))
        {
            return "the record does not follow from the one before: one of them was changed, left out or put in";
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return document.RootElement.GetProperty("number").GetInt64() == number ? null : $"the record's number is not {number}";
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return "the record cannot be read";
        }
    }
}
