using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>Who submitted generations and hears of them: a coordinator's link, or a caller in this process. Called on the head's compute thread; must not block.</summary>
internal interface IGenerationOwner
{
    /// <param name="index">Of the token among the emitted ones, from 0.</param>
    /// <param name="top">Valid during the call only.</param>
    void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top);

    void OnEnded(GenerationProtocol.GenerationEnded ended);
}
