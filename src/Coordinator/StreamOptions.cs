namespace Lamina.Coordinator;

/// <summary>
/// How a tenant's streams go out. Padding hides the lengths and times of a tenant's streamed tokens from whoever watches its encrypted connections: events leave together, at whole intervals since the stream began, filled up with
/// comments to a whole number of buckets. Costs bandwidth, and up to an interval of delay.
/// </summary>
public sealed record StreamOptions
{
    /// <summary>Every write to the connection is a multiple of so many bytes; 0 = no padding.</summary>
    public int PadToBytes { get; init; }

    /// <summary>Events leave at multiples of this time; 0 = at once.</summary>
    public int IntervalMilliseconds { get; init; }

    /// <summary>A connection whose reader takes nothing for so long is cut, and its answer ends unless it is kept.</summary>
    public int StallSeconds { get; init; } = 60;

    internal bool IsOn => PadToBytes > 0 || IntervalMilliseconds > 0;
}
