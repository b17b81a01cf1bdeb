namespace Lamina.Coordinator.Models.Sources;

/// <summary>What a source may take of this machine's disk and patience.</summary>
public sealed record DownloadLimits
{
    public required long MaxBytes { get; init; }

    /// <summary>Longest wait for an answer, and between two pieces of it.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The average below which a source is given up, once <see cref="Silence"/> has passed.</summary>
    public long LeastBytesPerSecond { get; init; } = 16 << 10;
}
