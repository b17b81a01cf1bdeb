using System.Globalization;

namespace Lamina.Cli.Commands;

/// <summary>Lengths of time as people write them: <c>90d</c>, <c>12h</c>, <c>30m</c>, <c>45s</c>.</summary>
internal static class Durations
{
    private const double MaxDays = 3660;

    public static TimeSpan Parse(string text, string option)
    {
        double? seconds = text.Length < 2 ? null : text[^1] switch
        {
            'd' => 86400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => null,
        };
        return seconds is { } unit && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count * unit <= MaxDays * 86400
            ? TimeSpan.FromSeconds(count * unit)
            : throw new UsageException($"{option} is '{text}'; it must be a number with d, h, m or s behind it, such as 90d, and at most {MaxDays}d");
    }
}
