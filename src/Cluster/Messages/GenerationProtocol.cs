using Lamina.Compute.Grammar;
using Lamina.Compute.Sampling;
using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>
/// Frames between a coordinator and a pipeline's head, on a link of purpose <c>Generations</c>: prompts may be larger than a control message may be, and
/// tokens must not queue behind cluster traffic.
/// </summary>
public static class GenerationProtocol
{
    /// <summary>Starts or resumes a generation: a resumed one carries the tokens already emitted and goes on after them.</summary>
    /// <param name="MaxTokens">Tokens to emit in all, the resumed ones included.</param>
    /// <param name="StopTokens">Tokens that end the generation; the one that does is not reported.</param>
    /// <param name="MinTokens">Stop tokens are not chosen before that many.</param>
    /// <param name="Pool">Instead of tokens the prompt's embedding is wanted: <see cref="TextEmbedded"/>, then the end.</param>
    /// <param name="Adapters">In this order; null for the model as it is.</param>
    /// <param name="EmittedLogProbs">Of <paramref name="EmittedTokens"/>, as they were reported: mirostat's state follows from them. Null without mirostat.</param>
    /// <param name="Lane">Whose turn it counts against: lanes share the pipeline's time, each by its weight. Opaque; 0 for whoever needs no share of its own.</param>
    /// <param name="Weight">The lane's share beside the others', from 1; what comes last counts.</param>
    /// <param name="Allowed">Tokens that may be emitted, resumed ones included, until an <see cref="Allow"/> says more; 0 = all of them.</param>
    /// <param name="TraceParent">The span that asks for it, in W3C's form; null where nobody traces. Older builds skip it.</param>
    /// <param name="OwnPrefixes">Shares computed beginnings with generations of its own lane alone.</param>
    [MessagePackObject]
    public sealed record Submit(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] GenerationId Generation,
        [property: Key(2), MessagePackFormatter(typeof(TokensFormatter))] int[] PromptTokens,
        [property: Key(3), MessagePackFormatter(typeof(TokensFormatter))] int[] EmittedTokens,
        [property: Key(4)] int MaxTokens,
        [property: Key(5)] int[] StopTokens,
        [property: Key(6)] SamplingSettings Sampling,
        [property: Key(7)] int Priority,
        [property: Key(8)] int MinTokens = 0,
        [property: Key(9)] bool Pool = false,
        [property: Key(10)] ulong Lane = 0,
        [property: Key(11)] int Weight = 1,
        [property: Key(12)] float[]? EmittedLogProbs = null,
        [property: Key(13)] int Allowed = 0,
        [property: Key(14)] IReadOnlyList<AdapterSetting>? Adapters = null,
        [property: Key(15)] string? TraceParent = null,
        [property: Key(16)] bool OwnPrefixes = false)
    {
        /// <summary>Overwrites the tokens, once they were taken over.</summary>
        public void Forget()
        {
            Array.Clear(PromptTokens);
            Array.Clear(EmittedTokens);
        }
    }

    /// <summary>An adapter that a generation passes through.</summary>
    /// <param name="Adapter">Its place among those that the pipeline loaded.</param>
    /// <param name="Scale">1 = as trained.</param>
    [MessagePackObject]
    public sealed record AdapterSetting([property: Key(0)] int Adapter, [property: Key(1)] float Scale);

    [MessagePackObject]
    public sealed record Cancel([property: Key(0)] TenantId Tenant, [property: Key(1)] GenerationId Generation);

    /// <summary>
    /// Whoever takes the tokens has kept up so far that <paramref name="Tokens"/> may be emitted in all. A generation that has emitted what it may is paused: it computes nothing, and
    /// its place and cache are others' for the asking.
    /// </summary>
    [MessagePackObject]
    public sealed record Allow([property: Key(0)] TenantId Tenant, [property: Key(1)] GenerationId Generation, [property: Key(2)] int Tokens);

    /// <summary>Tokens chosen, in order. <paramref name="FirstIndex"/> counts emitted tokens from 0, resumed ones included.</summary>
    /// <param name="LogProbs">One per token when asked for, else empty.</param>
    /// <param name="TopIds">TopLogProbs entries per token, flattened, with <paramref name="TopLogProbs"/> beside them.</param>
    [MessagePackObject]
    public sealed record TokensGenerated(
        [property: Key(0)] GenerationId Generation,
        [property: Key(1)] int FirstIndex,
        [property: Key(2)] int[] Tokens,
        [property: Key(3)] float[] LogProbs,
        [property: Key(4)] int[] TopIds,
        [property: Key(5)] float[] TopLogProbs);

    /// <summary>The embedding of a prompt, of unit length and of the model's width.</summary>
    [MessagePackObject]
    public sealed record TextEmbedded([property: Key(0)] GenerationId Generation, [property: Key(1)] float[] Values);

    /// <param name="Tokens">Emitted tokens in all.</param>
    /// <param name="CachedPromptTokens">Prompt tokens that a prefix cache served.</param>
    /// <param name="Reason">One sentence when <paramref name="Outcome"/> is Failed, Refused or GrammarExhausted, else empty.</param>
    [MessagePackObject]
    public sealed record GenerationEnded(
        [property: Key(0)] GenerationId Generation,
        [property: Key(1)] GenerationOutcome Outcome,
        [property: Key(2)] int Tokens,
        [property: Key(3)] int CachedPromptTokens,
        [property: Key(4)] string Reason);

    /// <summary>Sent by the head a few times a second, and at once when it changes much; feeds pipeline choice and metrics.</summary>
    [MessagePackObject]
    public sealed record HeadLoad(
        [property: Key(0)] int Running,
        [property: Key(1)] int Waiting,
        [property: Key(2)] int FreeKvBlocks,
        [property: Key(3)] int KvBlocks,
        [property: Key(4)] double TokensPerSecond);
}

public enum GenerationOutcome
{
    Stop = 0, Length = 1, Cancelled = 2, Refused = 3, Failed = 4,

    /// <summary>The grammar leaves no token of the vocabulary: no other pipeline would do better.</summary>
    GrammarExhausted = 5,

    /// <summary>The deployment serves another model now than the one that the prompt and the tokens are of.</summary>
    ModelReplaced = 6,
}

/// <summary>Wire form of <see cref="SamplingParameters"/>.</summary>
[MessagePackObject]
public sealed record SamplingSettings(
    [property: Key(0)] float Temperature,
    [property: Key(1)] int TopK,
    [property: Key(2)] float TopP,
    [property: Key(3)] float MinP,
    [property: Key(4)] float RepetitionPenalty,
    [property: Key(5)] int PenaltyWindow,
    [property: Key(6)] ulong Seed,
    [property: Key(7)] int TopLogProbs,
    [property: Key(8)] bool LogProbs,
    [property: Key(9)] float DynamicTemperatureRange,
    [property: Key(10)] float DynamicTemperatureExponent,
    [property: Key(11)] float TypicalP,
    [property: Key(12)] float TopNSigma,
    [property: Key(13)] float XtcProbability,
    [property: Key(14)] float XtcThreshold,
    [property: Key(15)] float PresencePenalty,
    [property: Key(16)] float FrequencyPenalty,
    [property: Key(17)] float DryMultiplier,
    [property: Key(18)] float DryBase,
    [property: Key(19)] int DryAllowedLength,
    [property: Key(20)] int DryWindow,
    [property: Key(21)] string[] DryBreakers,
    [property: Key(22)] int Mirostat,
    [property: Key(23)] float MirostatTau,
    [property: Key(24)] float MirostatEta,
    [property: Key(25)] int[] BiasedTokens,
    [property: Key(26)] float[] Biases,
    [property: Key(27)] int[] Order,
    [property: Key(28)] int GrammarKind,
    [property: Key(29)] string? GrammarText)
{
    public static SamplingSettings From(SamplingParameters parameters) => new(
        parameters.Temperature, parameters.TopK, parameters.TopP, parameters.MinP, parameters.RepetitionPenalty,
        parameters.PenaltyWindow, parameters.Seed, parameters.TopLogProbs, parameters.LogProbs,
        parameters.DynamicTemperatureRange, parameters.DynamicTemperatureExponent, parameters.TypicalP, parameters.TopNSigma,
        parameters.XtcProbability, parameters.XtcThreshold, parameters.PresencePenalty, parameters.FrequencyPenalty,
        parameters.DryMultiplier, parameters.DryBase, parameters.DryAllowedLength, parameters.DryWindow, [.. parameters.DryBreakers],
        parameters.Mirostat, parameters.MirostatTau, parameters.MirostatEta,
        [.. parameters.LogitBias.Keys], [.. parameters.LogitBias.Values], [.. parameters.Order.Select(step => (int)step)],
        (int)(parameters.Grammar?.Kind ?? default), parameters.Grammar?.Text);

    /// <summary>What the sender asked for; <see cref="SamplingParameters.Validate"/> judges it.</summary>
    public SamplingParameters ToParameters() => new()
    {
        Temperature = Temperature,
        TopK = TopK,
        TopP = TopP,
        MinP = MinP,
        RepetitionPenalty = RepetitionPenalty,
        PenaltyWindow = PenaltyWindow,
        Seed = Seed,
        TopLogProbs = TopLogProbs,
        LogProbs = LogProbs,
        DynamicTemperatureRange = DynamicTemperatureRange,
        DynamicTemperatureExponent = DynamicTemperatureExponent,
        TypicalP = TypicalP,
        TopNSigma = TopNSigma,
        XtcProbability = XtcProbability,
        XtcThreshold = XtcThreshold,
        PresencePenalty = PresencePenalty,
        FrequencyPenalty = FrequencyPenalty,
        DryMultiplier = DryMultiplier,
        DryBase = DryBase,
        DryAllowedLength = DryAllowedLength,
        DryWindow = DryWindow,
        DryBreakers = DryBreakers ?? [],
        Mirostat = Mirostat,
        MirostatTau = MirostatTau,
        MirostatEta = MirostatEta,
        LogitBias = BiasesByToken(),
        Grammar = GrammarText is null ? null : new GrammarSource((GrammarKind)GrammarKind, GrammarText),
        Order = [.. (Order ?? []).Select(step => (SamplingStep)step)],
    };

    /// <summary>A token named twice keeps its last bias; a token without one gets NaN, which validation refuses.</summary>
    private Dictionary<int, float> BiasesByToken()
    {
        Dictionary<int, float> biases = [];
        int[] tokens = BiasedTokens ?? [];

        // One more than is allowed, which validation refuses: of keys made to collide, each would cost as much as there are before it.
        int count = Math.Min(tokens.Length, SamplingParameters.MaxLogitBiases + 1);
        for (int i = 0; i < count; i++)
        {
            biases[tokens[i]] = i < (Biases?.Length ?? 0) ? Biases![i] : float.NaN;
        }

        return biases;
    }
}
