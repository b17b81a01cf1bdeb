using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>Sampling settings as they travel in a step's Open operation, and what the tail's sampler makes of them.</summary>
internal static class SamplingWire
{
    public static byte[] Write(TailSettings settings) => Wire.Encode(settings);

    /// <summary>Throws <see cref="InvalidDataException"/> when the bytes are not a tail's settings.</summary>
    public static TailSettings Read(ReadOnlySpan<byte> bytes) => Wire.Decode<TailSettings>(bytes);

    /// <summary>Null when the tail can sample so, else a sentence naming what cannot be used and what is allowed.</summary>
    public static string? Refuse(GenerationProtocol.Submit submit, int vocabularySize)
    {
        SamplingParameters parameters = submit.Sampling.ToParameters();
        if (parameters.Validate() is [string problem, ..])
        {
            return problem;
        }

        int unknown = parameters.LogitBias.Keys.FirstOrDefault(id => id >= vocabularySize, -1);
        return (parameters, unknown) switch
        {
            (_, >= 0) => $"LogitBias names token {unknown}, the vocabulary has {vocabularySize}",
            ({ Mirostat: > 0 }, _) when (submit.EmittedLogProbs?.Length ?? 0) != submit.EmittedTokens.Length =>
                $"mirostat goes on from the log-probabilities of {submit.EmittedTokens.Length} emitted tokens, {submit.EmittedLogProbs?.Length ?? 0} came",
            _ when parameters.TopLogProbs > vocabularySize => $"TopLogProbs is {parameters.TopLogProbs}, the vocabulary has {vocabularySize}",
            _ => null,
        };
    }
}
