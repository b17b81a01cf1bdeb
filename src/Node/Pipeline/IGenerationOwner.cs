using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>Who submitted generations and hears of them: a coordinator's link, or a caller in this process. Called on the head's compute thread; must not block.</summary>
internal interface IGenerationOwner
{
    /// <summary>The head has taken over what it needs of a submission.</summary>
    void OnTaken(GenerationProtocol.Submit submit)
    {
    }

    /// <param name="index">Of the token among the emitted ones, from 0.</param>
    /// <param name="top">Valid during the call only.</param>
    void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top);

    /// <param name="values">The embedding of the generation's prompt; valid during the call only.</param>
    void OnEmbedded(GenerationId generation, ReadOnlySpan<float> values);

    void OnEnded(GenerationProtocol.GenerationEnded ended);

    /// <summary>The pipeline is gone and the generation with it; another pipeline can resume it.</summary>
    /// <param name="emitted">Tokens emitted in all.</param>
    void OnLost(GenerationId generation, int emitted, string reason);
}
