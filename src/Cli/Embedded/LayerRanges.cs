using Lamina.Compute.Model;

namespace Lamina.Cli.Embedded;

/// <summary>Reads layer ranges as people write them: <c>0-7,8-15</c>.</summary>
internal static class LayerRanges
{
    public static IReadOnlyList<LayerRange> Parse(string text, int layerCount)
    {
        List<LayerRange> ranges = [];
        int next = 0;
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] ends = part.Split('-');
            if (ends.Length is < 1 or > 2 || !int.TryParse(ends[0], out int first) || !int.TryParse(ends[^1], out int last) || first != next || last < first || last >= layerCount)
            {
                throw new UsageException($"--stages is \"{text}\"; it must name all layers from 0 to {layerCount - 1} once and in order, such as \"0-{(layerCount - 1) / 2},{((layerCount - 1) / 2) + 1}-{layerCount - 1}\"");
            }

            ranges.Add(new LayerRange(first, last + 1));
            next = last + 1;
        }

        return next == layerCount ? ranges : throw new UsageException($"--stages ends at layer {next - 1}; the model's last layer is {layerCount - 1}");
    }
}
