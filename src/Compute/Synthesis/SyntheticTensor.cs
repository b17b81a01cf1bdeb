using Lamina.Compute.Gguf;

namespace Lamina.Compute.Synthesis;

/// <summary>The distribution of a made-up tensor's values.</summary>
internal readonly record struct SyntheticTensor(float Deviation, float Mean)
{
    /// <summary>
    /// Norms near 1 and small biases. Matrices keep the variance of their input, those that feed the residual stream less so that it does not grow with
    /// depth. Embeddings are small: the first layers outweigh them, and tied output logits have a deviation of about 2.
    /// </summary>
    public static SyntheticTensor For(GgufTensorInfo tensor, int layers)
    {
        if (tensor.Name.EndsWith(".bias", StringComparison.Ordinal) || tensor.Name.Contains("attn_sinks", StringComparison.Ordinal))
        {
            return new SyntheticTensor(0.1f, 0);
        }

        if (tensor.Name.Contains("norm", StringComparison.Ordinal))
        {
            return new SyntheticTensor(0.1f, 1);
        }

        float unit = 1 / MathF.Sqrt(tensor.Columns);
        bool residual = tensor.Name.Contains("attn_output", StringComparison.Ordinal) || tensor.Name.Contains("ffn_down", StringComparison.Ordinal);
        bool vocabulary = tensor.Name is "token_embd.weight" or "output.weight";
        return new SyntheticTensor(residual ? unit / MathF.Sqrt(2 * layers) : vocabulary ? 2 * unit : unit, 0);
    }
}
