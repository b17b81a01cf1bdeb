namespace Lamina.EndToEnd.Tests.Security;

/// <summary>What an attacker with a clock does with two sets of times.</summary>
internal static class Timing
{
    /// <summary>The chance that a time of the first kind is shorter than one of the second: a half where nothing tells them apart.</summary>
    public static double AreaUnderCurve(IReadOnlyCollection<double> shorter, IReadOnlyCollection<double> longer) =>
        shorter.Sum(a => longer.Sum(b => a < b ? 1.0 : a > b ? 0 : 0.5)) / shorter.Count / longer.Count;

    public static double Median(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);
}
