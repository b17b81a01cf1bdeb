namespace Lamina.Cluster.Identity;

/// <summary>
/// Refused peers: a URI or a serial number a line, <c>#</c> starts a comment. Serial numbers are taken as tools print them: hexadecimal in either case, with or without colons and
/// <c>0x</c> or <c>serial=</c> in front.
/// </summary>
/// <param name="Problem">The first line that is neither, in one sentence; null when there is none. What the other lines refuse is refused all the same.</param>
internal sealed record DenyList(HashSet<string> Entries, string? Problem)
{
    public static DenyList Read(string path) => File.Exists(path) ? Parse(File.ReadLines(path), path) : new DenyList([], null);

    public static DenyList Parse(IEnumerable<string> lines, string path)
    {
        HashSet<string> entries = [];
        string? problem = null;
        int number = 0;
        foreach (string line in lines)
        {
            number++;
            string text = line.Split('#', 2)[0].Trim();
            if (text.Length == 0)
            {
                continue;
            }

            if (Entry(text) is { } entry)
            {
                entries.Add(entry);
            }
            else
            {
                problem ??= $"line {number} of '{path}' is neither the URI of a process (spiffe://INSTALLATION/tenant/TENANT/ROLE/NAME) nor a serial number in hexadecimal";
            }
        }

        return new DenyList(entries, problem);
    }

    /// <summary>A serial number in hexadecimal as <see cref="Entries"/> has it.</summary>
    public static string Serial(string hexadecimal) => hexadecimal.TrimStart('0').ToUpperInvariant();

    private static string? Entry(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return PeerIdentity.TryParse(text, out PeerIdentity? identity) ? identity.Uri : null;
        }

        string digits = text;
        foreach (string prefix in (ReadOnlySpan<string>)["serial=", "0x"])
        {
            digits = digits.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) ? digits[prefix.Length..] : digits;
        }

        digits = digits.Replace(":", "", StringComparison.Ordinal);
        return digits.Length > 0 && digits.All(char.IsAsciiHexDigit) ? Serial(digits) : null;
    }
}
