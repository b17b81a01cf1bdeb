namespace Lamina.Node.Pipeline;

/// <summary>
/// How many prompt rows a step may take in: as many as the plan allows while nobody waits for a token, else so many that the tokens of others are held up no longer
/// than <see cref="s_decodeTarget"/>, as far as steps measured so far tell.
/// </summary>
internal sealed class ChunkPolicy(int maxRows)
{
    private const int MinRows = 16;
    private const int UnmeasuredRows = 64;

    private static readonly TimeSpan s_decodeTarget = TimeSpan.FromMilliseconds(150);

    private double _secondsPerRow;

    public int Rows(int decoding)
    {
        if (decoding == 0)
        {
            return maxRows;
        }

        double rows = _secondsPerRow > 0 ? s_decodeTarget.TotalSeconds / _secondsPerRow : UnmeasuredRows;
        return Math.Min(maxRows, (int)Math.Clamp(rows, MinRows, maxRows < MinRows ? MinRows : maxRows));
    }

    /// <summary>Learns from a step; short ones say little about rows, because reading the weights dominates them.</summary>
    public void Observe(int rows, TimeSpan duration)
    {
        if (rows >= MinRows)
        {
            double measured = duration.TotalSeconds / rows;
            _secondsPerRow = _secondsPerRow > 0 ? (0.8 * _secondsPerRow) + (0.2 * measured) : measured;
        }
    }
}
