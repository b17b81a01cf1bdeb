using System.Globalization;
using System.Text;

namespace Lamina.Cli.Chaos;

/// <summary>How long streams stood still around a fault: one row a fault.</summary>
internal sealed class StallTable
{
    private readonly List<(string Fault, TimeSpan[] Stalls)> _rows = [];

    public TimeSpan Median => MedianOf(All);

    public TimeSpan Worst => All.LastOrDefault();

    private TimeSpan[] All => [.. _rows.SelectMany(row => row.Stalls).Order()];

    /// <summary>Streams that had ended before the moment are left out.</summary>
    public void Add(string fault, IEnumerable<ChaosStream> streams, long moment)
    {
        TimeSpan[] stalls = [.. streams.Select(stream => stream.LongestGapAfter(moment)).Where(gap => gap > TimeSpan.Zero)];
        int row = _rows.FindIndex(other => other.Fault == fault);
        if (row >= 0)
        {
            _rows[row] = (fault, [.. _rows[row].Stalls.Concat(stalls).Order()]);
        }
        else
        {
            _rows.Add((fault, [.. stalls.Order()]));
        }
    }

    public override string ToString()
    {
        StringBuilder table = new();
        table.AppendLine(CultureInfo.InvariantCulture, $"{"fault",-28} {"streams",7} {"median s",9} {"worst s",8}");
        foreach ((string fault, TimeSpan[] stalls) in _rows.Append(("all", All)))
        {
            table.AppendLine(CultureInfo.InvariantCulture, $"{fault,-28} {stalls.Length,7} {MedianOf(stalls).TotalSeconds,9:0.00} {stalls.LastOrDefault().TotalSeconds,8:0.00}");
        }

        return table.ToString();
    }

    private static TimeSpan MedianOf(TimeSpan[] ordered) => ordered.Length == 0 ? TimeSpan.Zero : ordered[ordered.Length / 2];
}
