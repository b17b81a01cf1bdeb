namespace Lamina.Compute.Gpu;

/// <summary>How kernels are launched on an accelerator.</summary>
/// <param name="GroupThreads">Threads of a group.</param>
/// <param name="MaxGroups">Groups of a launch at most; what is left is taken in turns.</param>
/// <param name="TileInputs">Input rows from which quantised weights are multiplied tile by tile.</param>
/// <param name="LargeTiles">Tiles for groups of 256 threads, else for groups of two.</param>
/// <param name="SplitUnits">Below so many (row, head) pairs, attention is split along the context as well.</param>
internal sealed record LaunchProfile(int GroupThreads, int MaxGroups, int TileInputs, bool LargeTiles, int SplitUnits)
{
    /// <summary>Threads of a group that multiplies a tile.</summary>
    public int TileThreads => LargeTiles ? 256 : 2;
}
