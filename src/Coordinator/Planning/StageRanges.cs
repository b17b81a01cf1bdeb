using System.Globalization;
using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>Reads explicit layer ranges, written inclusively: <c>0-7,8-15</c>.</summary>
public static class StageRanges
{
    private const int MaxStages = 1024;

    /// <summary>Throws <see cref="FormatException"/> with one sentence unless the ranges are well formed, contiguous and begin with layer 0.</summary>
    public static IReadOnlyList<LayerRange> Parse(string text)
    {
        string[] parts = text.Split(',', MaxStages + 1, StringSplitOptions.TrimEntries);
        if (parts.Length > MaxStages)
        {
            throw new FormatException($"more than {MaxStages} stages are asked for");
        }

        var ranges = new List<LayerRange>(parts.Length);
        int next = 0;
        foreach (string part in parts)
        {
            string[] ends = part.Split('-');
            if (ends.Length > 2 || !TryLayer(ends[0], out int first) || !TryLayer(ends[^1], out int last) || last < first)
            {
                throw new FormatException($"'{part}' is not a range of layers such as 0-7");
            }

            if (first != next)
            {
                throw new FormatException($"range {part} begins at layer {first}, but layer {next} comes next: the ranges must follow each other without a gap from layer 0 on");
            }

            next = last + 1;
            ranges.Add(new LayerRange(first, next));
        }

        return ranges;
    }

    private static bool TryLayer(string text, out int layer) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out layer) && layer < 1 << 20;
}
