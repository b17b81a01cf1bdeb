using CsCheck;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Generations;

public class GenerationStateTests
{
    private static readonly GenerationId s_id = new(1, 2);

    [Fact]
    public void Accept_NextTokens_AppendsThem()
    {
        GenerationState state = Start(maxTokens: 8).Accept(Report(0, 5, 6), out var first).Accept(Report(2, 7), out var second);

        Assert.Equal([5, 6, 7], state.Emitted);
        Assert.Equal([5, 6], first!.Tokens);
        Assert.Equal(2, second!.FirstIndex);
    }

    [Fact]
    public void Accept_OverlappingTokens_KeepsTheNewOnesOnly()
    {
        GenerationState state = Start(maxTokens: 8).Accept(Report(0, 5, 6), out _).Accept(Report(1, 6, 7, 8), out var fresh);

        Assert.Equal([5, 6, 7, 8], state.Emitted);
        Assert.Equal(2, fresh!.FirstIndex);
        Assert.Equal([7, 8], fresh.Tokens);
    }

    [Theory, InlineData(0, false), InlineData(2, true)]
    public void Resume_WithMirostat_CarriesTheLogProbabilities(int mirostat, bool carries)
    {
        var request = new GenerationProtocol.Submit(new TenantId("acme"), s_id, [1], [], 8, [], SamplingSettings.From(new SamplingParameters { Mirostat = mirostat }), 0);
        GenerationState state = GenerationState.Start(request)
            .Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [5, 6], [-1, -2], [], []), out _)
            .Accept(new GenerationProtocol.TokensGenerated(s_id, 1, [6, 7], [-2, -3], [], []), out _);

        Assert.Equal(carries ? [-1, -2, -3] : null, state.Resume().EmittedLogProbs);
        GenerationState.Start(state.Resume()).Accept(new GenerationProtocol.TokensGenerated(s_id, 3, [8], [], [], []), out var fresh);
        Assert.Equal(carries, fresh is null);
    }

    [Fact]
    public void Accept_Gap_IsRefused()
    {
        GenerationState state = Start(maxTokens: 8).Accept(Report(1, 6), out var fresh);

        Assert.Null(fresh);
        Assert.Empty(state.Emitted);
    }

    [Fact]
    public void Accept_MoreThanAskedFor_IsRefused()
    {
        Start(maxTokens: 2).Accept(Report(0, 5, 6, 7), out var fresh);

        Assert.Null(fresh);
    }

    [Fact]
    public void Accept_LogProbsThatDoNotFit_IsRefused()
    {
        GenerationState state = Start(maxTokens: 4, logProbs: true, top: 2);

        state.Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [1], [], [], []), out var missing);
        state.Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [1], [-1], [1], [-1]), out var tooFewTop);
        state.Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [1], [-1], [1, 2], [-1, -2]), out var right);

        Assert.Null(missing);
        Assert.Null(tooFewTop);
        Assert.NotNull(right);
    }

    [Fact]
    public void Accept_OverlapWithLogProbs_CutsAllArraysAlike()
    {
        GenerationState state = Start(maxTokens: 4, logProbs: true, top: 2)
            .Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [1], [-1], [1, 2], [-1, -2]), out _)
            .Accept(new GenerationProtocol.TokensGenerated(s_id, 0, [1, 3], [-1, -3], [1, 2, 3, 4], [-1, -2, -3, -4]), out var fresh);

        Assert.Equal([1, 3], state.Emitted);
        Assert.Equal([-3f], fresh!.LogProbs);
        Assert.Equal([3, 4], fresh.TopIds);
        Assert.Equal([-3f, -4f], fresh.TopLogProbs);
    }

    /// <summary>A head that always gives token i at index i, lost at random points: the stream has each index once.</summary>
    [Fact]
    public void Resume_LossesAnywhere_EveryTokenExactlyOnce() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 5].Array[1, 30], Gen.Bool.Array[30], Gen.Int[0, 3].Array[30]).Sample((maxTokens, sizes, losses, repeats) =>
        {
            GenerationState state = Start(maxTokens);
            var seen = new List<int>();
            for (int i = 0; !state.IsComplete; i++)
            {
                GenerationProtocol.Submit submit = losses[i % losses.Length] ? state.Resume() : state.Request with { EmittedTokens = [.. state.Emitted] };
                int from = Math.Max(0, submit.EmittedTokens.Length - repeats[i % repeats.Length]);
                int to = Math.Min(maxTokens, submit.EmittedTokens.Length + sizes[i % sizes.Length]);
                state = state.Accept(Report(from, [.. Enumerable.Range(from, to - from)]), out var fresh);
                seen.AddRange(fresh!.Tokens);
            }

            return seen.SequenceEqual(Enumerable.Range(0, maxTokens)) && state.Resume().EmittedTokens.SequenceEqual(seen);
        });

    private static GenerationState Start(int maxTokens, bool logProbs = false, int top = 0) => GenerationState.Start(new GenerationProtocol.Submit(
        new TenantId("t"), s_id, [1], [], maxTokens, [], SamplingSettings.From(new SamplingParameters { LogProbs = logProbs, TopLogProbs = top }), 0));

    private static GenerationProtocol.TokensGenerated Report(int firstIndex, params int[] tokens) => new(s_id, firstIndex, tokens, [], [], []);
}
