using Lamina.Cluster.Messages;
using MessagePack;

namespace Lamina.Node.Pipeline;

/// <summary>What the tail must know of a generation beside its tokens; travels in a step's Open operation, and so past every stage.</summary>
/// <param name="PromptTokens">Where in the opened history the answer begins.</param>
/// <param name="MinTokens">Tokens of the answer before <paramref name="StopTokens"/> may be chosen.</param>
/// <param name="StopTokens">Empty when <paramref name="MinTokens"/> is 0.</param>
/// <param name="EmittedLogProbs">Of the answer's tokens in the opened history, which mirostat's state follows from; null without mirostat.</param>
/// <param name="Pool">The text's embedding is wanted and no token.</param>
/// <param name="TraceParent">The head's span, in W3C's form, which every stage's span belongs to; null where nobody traces. Older builds skip it.</param>
[MessagePackObject]
public sealed record TailSettings(
    [property: Key(0)] SamplingSettings Sampling,
    [property: Key(1)] int PromptTokens,
    [property: Key(2)] int MinTokens,
    [property: Key(3)] int[] StopTokens,
    [property: Key(4)] bool Pool = false,
    [property: Key(5)] float[]? EmittedLogProbs = null,
    [property: Key(6)] string? TraceParent = null)
{
    public static TailSettings Of(GenerationProtocol.Submit submit) =>
        new(submit.Sampling, submit.PromptTokens.Length, submit.MinTokens, submit.MinTokens > 0 ? submit.StopTokens : [], submit.Pool, submit.Sampling.Mirostat > 0 ? submit.EmittedLogProbs ?? [] : null, submit.TraceParent);
}
