namespace Lamina.Compute.Quantization;

/// <summary>
/// Finds the groups of a codebook near a point of the lattice that they are taken from. A point is written as in the codebook's table: its level numbers packed
/// from the lowest bits up.
/// </summary>
internal sealed class GridSearch
{
    private readonly ushort[] codes;
    private readonly short[] indexOf;
    private readonly ushort[][] neighbours;
    private readonly int bits;

    /// <param name="levels">Levels per value.</param>
    /// <param name="shells">How many distinct distances around a point off the grid to look at.</param>
    public GridSearch(ReadOnlySpan<ushort> codes, int groupLength, int levels, int shells)
    {
        this.codes = codes.ToArray();
        GroupLength = groupLength;
        bits = 16 / groupLength;
        indexOf = new short[1 << 16];
        neighbours = new ushort[1 << 16][];
        indexOf.AsSpan().Fill(-1);
        for (int i = 0; i < codes.Length; i++)
        {
            indexOf[codes[i]] = (short)i;
        }

        var distances = new (int Distance, ushort Index)[codes.Length];
        foreach (int code in LatticePoints(groupLength, levels))
        {
            if (indexOf[code] < 0)
            {
                neighbours[code] = Nearest(code, shells, distances);
            }
        }
    }

    public int GroupLength { get; }

    public int LevelAt(int code, int position) => (code >> (position * bits)) & ((1 << bits) - 1);

    public int CodeOf(int index) => codes[index];

    public bool IsOnGrid(int code) => indexOf[code] >= 0;

    /// <summary>The group at a point, or of those around it the one with the least Σ w (scale value - x)².</summary>
    /// <param name="values">What each level stands for.</param>
    public int Index(int code, ReadOnlySpan<float> x, ReadOnlySpan<float> weights, float scale, ReadOnlySpan<float> values)
    {
        if (indexOf[code] >= 0)
        {
            return indexOf[code];
        }

        int best = neighbours[code][0];
        float bestError = float.MaxValue;
        foreach (ushort candidate in neighbours[code])
        {
            float error = 0;
            for (int i = 0; i < GroupLength; i++)
            {
                float difference = (scale * values[LevelAt(codes[candidate], i)]) - x[i];
                error += weights[i] * difference * difference;
            }

            if (error < bestError)
            {
                bestError = error;
                best = candidate;
            }
        }

        return best;
    }

    private ushort[] Nearest(int code, int shells, (int Distance, ushort Index)[] distances)
    {
        for (int i = 0; i < codes.Length; i++)
        {
            int distance = 0;
            for (int k = 0; k < GroupLength; k++)
            {
                int difference = LevelAt(codes[i], k) - LevelAt(code, k);
                distance += difference * difference;
            }

            distances[i] = (distance, (ushort)i);
        }

        Array.Sort(distances);
        int count = 1;
        for (int left = shells; count < distances.Length; count++)
        {
            if (distances[count].Distance > distances[count - 1].Distance && --left == 0)
            {
                break;
            }
        }

        return [.. distances.Take(count).Select(entry => entry.Index)];
    }

    private IEnumerable<int> LatticePoints(int length, int levels)
    {
        if (length == 0)
        {
            return [0];
        }

        int shift = (length - 1) * bits;
        return LatticePoints(length - 1, levels).SelectMany(rest => Enumerable.Range(0, levels).Select(level => rest | (level << shift)));
    }
}
