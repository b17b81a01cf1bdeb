using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using MessagePack;

namespace Lamina.Node.Pipeline;

/// <summary>Sampling settings as they travel in a step's Open operation, and what the tail's sampler makes of them.</summary>
internal static class SamplingWire
{
    private static readonly MessagePackSerializerOptions s_options = MessagePackSerializerOptions.Standard.WithSecurity(MessagePackSecurity.UntrustedData);

    public static byte[] Write(SamplingSettings settings) => MessagePackSerializer.Serialize(settings, s_options);

    public static SamplingParameters Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return MessagePackSerializer.Deserialize<SamplingSettings>(bytes.ToArray(), s_options).ToParameters();
        }
        catch (MessagePackSerializationException e)
        {
            throw new InvalidDataException("a sequence's sampling settings cannot be read", e);
        }
    }

    /// <summary>Null when every value can be used, else a sentence naming the first that cannot, with what is allowed.</summary>
    public static string? Refuse(SamplingSettings settings, int vocabularySize) => settings switch
    {
        { Temperature: not (>= 0 and <= 100) } => $"temperature {settings.Temperature} is not between 0 and 100",
        { TopK: < 0 } => $"top_k {settings.TopK} is negative",
        { TopP: not (> 0 and <= 1) } => $"top_p {settings.TopP} is not above 0 and at most 1",
        { MinP: not (>= 0 and <= 1) } => $"min_p {settings.MinP} is not between 0 and 1",
        { RepetitionPenalty: not (> 0 and <= 100) } => $"repetition_penalty {settings.RepetitionPenalty} is not above 0 and at most 100",
        { PenaltyWindow: < -1 } => $"penalty window {settings.PenaltyWindow} is below -1",
        { TopLogProbs: < 0 or > 100 } => $"top_logprobs {settings.TopLogProbs} is not between 0 and 100",
        _ when settings.TopLogProbs > vocabularySize => $"top_logprobs {settings.TopLogProbs} is more than the vocabulary of {vocabularySize}",
        _ => null,
    };
}
