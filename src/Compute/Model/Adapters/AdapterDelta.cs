using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model.Adapters;

/// <summary>What one adapter adds to outputs [<paramref name="FirstOutput"/>, ...) of a multiplication: scale × B (A x).</summary>
/// <param name="Down">A, [rank × columns]; of the embedding [vocabulary × rank].</param>
/// <param name="Up">B, [outputs × rank].</param>
/// <param name="Scale">alpha / rank, or 1.</param>
internal sealed record AdapterDelta(WeightMatrix Down, LowRankColumns Up, int FirstOutput, float Scale) : IDisposable
{
    public int Rank => Up.Rank;

    public long Bytes => Down.Bytes + Up.Bytes;

    /// <summary>Packs one expert's or head's part of the pair.</summary>
    public static AdapterDelta Pack(WorkerTeam team, in AdapterPair pair, int part, int firstOutput, float alpha)
    {
        int downRows = checked((int)pair.DownRows);
        WeightMatrix down = WeightMatrix.Pack(team, new WeightPart(pair.Down, (long)part * downRows, downRows));
        try
        {
            int rows = checked((int)pair.UpRows);
            return new AdapterDelta(down, LowRankColumns.Pack(team, new WeightPart(pair.Up, (long)part * rows, rows), pair.Rank), firstOutput, alpha == 0 ? 1 : alpha / pair.Rank);
        }
        catch
        {
            down.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Down.Dispose();
        Up.Dispose();
    }
}
