using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Planning;

/// <summary>What a node offers to a plan.</summary>
/// <param name="FreeBytes">Memory that stages may still take.</param>
/// <param name="BytesPerSecond">Weights its kernels stream in a second; 0 counts as 1.</param>
/// <param name="LinkSeconds">Latency of a hop to it.</param>
/// <param name="LinkBytesPerSecond">Bandwidth of a hop to it.</param>
public sealed record NodeCapacity(NodeName Name, long FreeBytes, long BytesPerSecond, double LinkSeconds = 0.0001, long LinkBytesPerSecond = 125_000_000)
{
    /// <summary>
    /// Measured speeds of equal machines differ by chance; speeds are therefore rounded to steps of a factor of 2^(1/2), so that equal machines get equal shares
    /// and a plan does not change from start to start.
    /// </summary>
    public static long RoundSpeed(long bytesPerSecond) =>
        bytesPerSecond <= 0 ? 0 : (long)Math.Pow(2, Math.Round(Math.Log2(bytesPerSecond) * 2) / 2);
}
