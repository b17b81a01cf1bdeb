namespace Lamina.Compute.Kernels;

/// <summary>Rows of the embedding matrix by token id.</summary>
public static unsafe class Embedding
{
    /// <summary>Writes the row of every token as f32 [tokens × columns], from the same packed matrix that a tied output multiplies with.</summary>
    public static void Lookup(WeightMatrix embedding, ReadOnlySpan<int> tokens, float* output, nint outputStride)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            embedding.DequantizeRow(tokens[i], new Span<float>(output + (i * outputStride), embedding.Columns));
        }
    }
}
