namespace Lamina.Compute.Model;

/// <summary>How the rows of a text become one embedding; the numbers are GGUF's <c>pooling_type</c>.</summary>
public enum PoolingKind
{
    /// <summary>The file does not say.</summary>
    None = 0,
    Mean = 1,

    /// <summary>The first row.</summary>
    First = 2,
    Last = 3,
}

public static class Pooling
{
    /// <summary>Writes the embedding [width] of <paramref name="rows"/> [count × width], of unit length; a text of zeros stays zero.</summary>
    public static void Pool(PoolingKind kind, ReadOnlySpan<float> rows, Span<float> embedding)
    {
        int width = embedding.Length;
        if (rows.Length == 0 || rows.Length % width != 0)
        {
            throw new ArgumentException($"{rows.Length} values are no rows of {width}", nameof(rows));
        }

        var pooler = new TextPooler(kind, width);
        for (int first = 0; first < rows.Length; first += width)
        {
            pooler.Add(rows.Slice(first, width));
        }

        pooler.Finish(embedding);
    }
}

/// <summary>Pools one text whose rows [width] may come in several steps; the result does not depend on how they are divided.</summary>
public sealed class TextPooler(PoolingKind kind, int width)
{
    private readonly double[] _sum = new double[width];

    /// <summary>Rows taken so far.</summary>
    public int Count { get; private set; }

    public void Add(ReadOnlySpan<float> row)
    {
        if (kind == PoolingKind.Mean || Count == 0 || kind == PoolingKind.Last)
        {
            for (int d = 0; d < width; d++)
            {
                _sum[d] = kind == PoolingKind.Mean ? _sum[d] + row[d] : row[d];
            }
        }

        Count++;
    }

    /// <summary>Writes the embedding [width], of unit length; a text of zeros stays zero.</summary>
    public void Finish(Span<float> embedding)
    {
        double squares = 0;
        for (int d = 0; d < width; d++)
        {
            float value = (float)(kind == PoolingKind.Mean ? _sum[d] / Count : _sum[d]);
            embedding[d] = value;
            squares += (double)value * value;
        }

        float scale = squares > 0 ? (float)(1 / Math.Sqrt(squares)) : 0;
        foreach (ref float value in embedding)
        {
            value *= scale;
        }
    }

    /// <summary>Overwrites what was taken: nothing of a text stays in memory.</summary>
    public void Clear()
    {
        Array.Clear(_sum);
        Count = 0;
    }
}
