using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

internal static class TokenEvents
{
    /// <summary>The event of one token.</summary>
    /// <param name="logProb">NaN when it was not asked for.</param>
    public static GenerationProtocol.TokensGenerated Create(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top)
    {
        int[] topIds = top.IsEmpty ? [] : new int[top.Length];
        float[] topLogProbs = top.IsEmpty ? [] : new float[top.Length];
        for (int i = 0; i < top.Length; i++)
        {
            (topIds[i], topLogProbs[i]) = (top[i].Id, top[i].LogProb);
        }

        return new GenerationProtocol.TokensGenerated(generation, index, [token], float.IsNaN(logProb) ? [] : [logProb], topIds, topLogProbs);
    }
}
