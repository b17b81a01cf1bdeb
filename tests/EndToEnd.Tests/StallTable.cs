using System.Globalization;
using System.Text;

namespace Lamina.EndToEnd.Tests;

/// <summary>How long streams stood still around a fault: one row a fault, printed with the test.</summary>
internal sealed class StallTable
{
    private readonly List<(string Fault, TimeSpan[] Stalls)> _rows = [];

    /// <summary>Streams that had ended before the moment are left out.</summary>
    public void Add(string fault, IEnumerable<TimedStream> streams, long moment) =>
        _rows.Add((fault, [.. streams.Select(stream => stream.LongestGapAfter(moment)).Where(gap => gap > TimeSpan.Zero).Order()]));

    public void AssertWithin(TimeSpan median, TimeSpan worst)
    {
        TimeSpan[] all = [.. _rows.SelectMany(row => row.Stalls).Order()];
        Assert.NotEmpty(all);
        Assert.True(Median(all) < median && all[^1] < worst, ToString());
    }

    public override string ToString()
    {
        StringBuilder table = new();
        table.AppendLine(CultureInfo.InvariantCulture, $"{"fault",-24} {"streams",7} {"median s",9} {"worst s",8}");
        foreach ((string fault, TimeSpan[] stalls) in _rows.Append(("all", [.. _rows.SelectMany(row => row.Stalls).Order()])))
        {
            table.AppendLine(CultureInfo.InvariantCulture, $"{fault,-24} {stalls.Length,7} {Median(stalls).TotalSeconds,9:0.00} {stalls.LastOrDefault().TotalSeconds,8:0.00}");
        }

        return table.ToString();
    }

    private static TimeSpan Median(TimeSpan[] ordered) => ordered.Length == 0 ? TimeSpan.Zero : ordered[ordered.Length / 2];
}
