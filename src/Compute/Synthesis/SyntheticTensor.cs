using Lamina.Compute.Gguf;

namespace Lamina.Compute.Synthesis;

/// <summary>The distribution of a made-up tensor's values.</summary>
internal readonly record struct SyntheticTensor(float Deviation, float Mean)
{
    /// <summary>
    /// Norms near 1 and small biases. Matrices keep the variance of their input, those that feed the residual stream less so that it does not grow with
    /// depth. Embeddings are small, so that the layers outweigh them and a tied output matrix does not just repeat the last token.
    /// </summary>
    public static SyntheticTensor For(GgufTensorInfo tensor, int layers)
    {
        if (tensor.Name.EndsWith(".bias", StringComparison.Ordinal) || tensor.Name.Contains("attn_sinks", StringComparison.Ordinal))
        {
            return new SyntheticTensor(0.1f, 0);
        }

        if (tensor.Name.Contains("norm", StringComparison.Ordinal) || tensor.Name.StartsWith("rope_factors", StringComparison.Ordinal))
        {
            return new SyntheticTensor(0.1f, 1);
        }

        float unit = 1 / MathF.Sqrt(tensor.Columns);
        bool residual = tensor.Name.Contains("attn_output", StringComparison.Ordinal) || tensor.Name.Contains("ffn_down", StringComparison.Ordinal);
        // A decided router: with near ties, rounding alone would choose other experts.
        float gain = residual ? MathF.Sqrt(2f / layers) : tensor.Name.Contains("ffn_gate_inp", StringComparison.Ordinal) ? 2 : 1;
        return new SyntheticTensor(gain * unit, 0);
    }
}
