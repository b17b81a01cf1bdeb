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
        int width = embedding.Length, count = rows.Length / width;
        if (count == 0 || rows.Length % width != 0)
        {
            throw new ArgumentException($"{rows.Length} values are no rows of {width}", nameof(rows));
        }

        if (kind == PoolingKind.Mean)
        {
            for (int d = 0; d < width; d++)
            {
                double sum = 0;
                for (int row = 0; row < count; row++)
                {
                    sum += rows[(row * width) + d];
                }

                embedding[d] = (float)(sum / count);
            }
        }
        else
        {
            rows.Slice((kind == PoolingKind.First ? 0 : count - 1) * width, width).CopyTo(embedding);
        }

        double squares = 0;
        foreach (float value in embedding)
        {
            squares += (double)value * value;
        }

        float scale = squares > 0 ? (float)(1 / Math.Sqrt(squares)) : 0;
        foreach (ref float value in embedding)
        {
            value *= scale;
        }
    }
}
