using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Node.Local;
using Lamina.Node.Tests.Support;
using static Lamina.Node.Tests.Support.Generations;

namespace Lamina.Node.Tests.Local;

public sealed class LocalEngineTests : IDisposable
{
    private static readonly StageSettings s_settings = new(
        ContextLength: 256, KvBlocks: 96, MaxSequences: 16, MaxBatchRows: 128, PrefillChunk: 128, KvType: (int)GgmlType.F16, Threads: 1);

    private readonly TinyModel _model = new();

    public void Dispose() => _model.Dispose();

    public static TheoryData<int[]> Splits => new([6], [3, 3], [1, 4, 1], [1, 1, 1, 1, 1, 1]);

    [Theory, MemberData(nameof(Splits))]
    public async Task Generations_AmongOthersOverAnyStages_EqualThoseAloneInOne(int[] layers)
    {
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 10).Select(i => Request(Prompt(i, 3 + (i * 17)), 40, i % 2 == 0 ? Greedy : Seeded((ulong)i)))];
        int[][] expected = await AloneAsync(requests);
        using LocalEngine engine = Load(s_settings, layers);
        int[][] together = [.. (await Task.WhenAll(requests.Select(r => RunAsync(engine, r)))).Select(r => r.Tokens)];
        Assert.Equal(expected, together);
        Assert.True(expected.SelectMany(t => t).Distinct().Count() > 20, "the tiny model says too little for the comparison to mean much");
    }

    [Theory, InlineData(1, GgmlType.F16), InlineData(2, GgmlType.Q8_0), InlineData(3, GgmlType.Q4_0), InlineData(6, GgmlType.F16)]
    public async Task Generations_ThatGuessAhead_EqualThoseThatDoNot(int stages, GgmlType kvType)
    {
        // Those held to three tokens repeat themselves, so that guesses are often right; those of the whole vocabulary hardly ever.
        SamplingSettings[] samplings = [Greedy with { BiasedTokens = [4, 5, 6], Biases = [50, 50, 50] }, Seeded(2) with { BiasedTokens = [4, 5, 6], Biases = [50, 50, 50] }, Greedy, Seeded(3)];
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 8).Select(i => Request([.. Prompt(i, 12), .. Prompt(i, 12), .. Prompt(i, 9)], 100, samplings[i % 4]))];
        StageSettings settings = s_settings with { KvType = (int)kvType };
        int[][] expected = await AloneAsync(requests, settings);
        using LocalEngine engine = Load(settings with { DraftTokens = 12 }, [.. Enumerable.Repeat(TinyModel.Layers / stages, stages)]);
        foreach (int together in (int[])[1, 3])
        {
            foreach (int[] batch in Enumerable.Range(0, requests.Length).Chunk(together))
            {
                (int[] Tokens, GenerationProtocol.GenerationEnded Ended)[] runs = await Task.WhenAll(batch.Select(i => RunAsync(engine, requests[i] with { Generation = new(7, (ulong)((together * 100) + i)) })));
                Assert.Equal(batch.Select(i => expected[i]), runs.Select(r => r.Tokens));
            }
        }

        Assert.InRange(engine.Guesses.Right, 50, engine.Guesses.Made);
    }

    [Theory, InlineData(1, true), InlineData(3, true), InlineData(1, false), InlineData(2, false)]
    public async Task Generations_WithADraftModel_EqualThoseWithout(int stages, bool sameModel)
    {
        // Six at once want to guess, four places are there; prompts longer than one catching-up step take two.
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(Prompt(i, 40 + (i * 55)), 60, i % 3 == 2 ? Seeded((ulong)i) : Greedy))];
        StageSettings settings = s_settings with { ContextLength = 512, KvBlocks = 64 };
        int[][] expected = await AloneAsync(requests, settings);
        using var other = new TinyModel(seed: 7);
        using LocalEngine engine = Load(settings with { DraftTokens = 6 }, [.. Enumerable.Repeat(TinyModel.Layers / stages, stages)], sameModel ? _model.File : other.File);
        foreach (int together in (int[])[1, 4, 6])
        {
            foreach (int[] batch in Enumerable.Range(0, requests.Length).Chunk(together))
            {
                (int[] Tokens, GenerationProtocol.GenerationEnded Ended)[] runs = await Task.WhenAll(batch.Select(i => RunAsync(engine, requests[i] with { Generation = new(9, (ulong)((together * 100) + i)) })));
                Assert.Equal(batch.Select(i => expected[i]), runs.Select(r => r.Tokens));
            }
        }

        // A model that guesses for itself is right wherever the answer is greedy.
        Assert.True(engine.Guesses.Made > 50, $"{engine.Guesses}");
        Assert.True(sameModel == engine.Guesses.Right > engine.Guesses.Made / 2, $"{engine.Guesses}");
    }

    [Theory, InlineData(1), InlineData(3)]
    public async Task Generations_FromOnePromptTogether_EqualThoseAlone(int stages)
    {
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(Prompt(3, 75), 60, Seeded((ulong)i)))];
        int[][] expected = await AloneAsync(requests);
        using LocalEngine engine = Load(s_settings with { PrefillChunk = 20 }, [.. Enumerable.Repeat(TinyModel.Layers / stages, stages)]);
        (int[] Tokens, GenerationProtocol.GenerationEnded Ended)[] runs = await Task.WhenAll(requests.Select(r => RunAsync(engine, r)));
        Assert.Equal(expected, runs.Select(r => r.Tokens));
        Assert.Equal(5, runs.Count(r => r.Ended.CachedPromptTokens == 74));
    }

    [Theory, InlineData(1, 1), InlineData(7, 1), InlineData(32, 3), InlineData(512, 3)]
    public async Task Generations_WithAnyPrefillChunk_AreEqual(int chunk, int stages)
    {
        GenerationProtocol.Submit[] requests = [Request(Prompt(1, 150), 20), Request(Prompt(2, 33), 20, Seeded(5)), Request(Prompt(3, 1), 20)];
        int[][] expected = await AloneAsync(requests);
        using LocalEngine engine = Load(s_settings with { PrefillChunk = chunk }, [.. Enumerable.Repeat(TinyModel.Layers / stages, stages)]);
        Assert.Equal(expected, (await Task.WhenAll(requests.Select(r => RunAsync(engine, r)))).Select(r => r.Tokens));
    }

    [Fact]
    public async Task Generation_ResumedAfterAnyToken_ContinuesAsIfUndisturbed()
    {
        using LocalEngine engine = Load(s_settings, [2, 4]);
        int[] prompt = Prompt(4, 50);
        (int[] whole, _) = await RunAsync(engine, Request(prompt, 30, Seeded(9)));
        for (int emitted = 0; emitted < whole.Length; emitted += 7)
        {
            (int[] rest, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(prompt, 30, Seeded(9), whole[..emitted]));
            Assert.Equal(whole[emitted..], rest);
            Assert.Equal(30, ended.Tokens);
        }
    }

    [Theory, InlineData(1, 0), InlineData(2, 0), InlineData(2, 8)]
    public async Task Generation_SteeredByMirostat_ResumesFromItsLogProbabilities(int version, int draftTokens)
    {
        SamplingSettings sampling = SamplingSettings.From(new Lamina.Compute.Sampling.SamplingParameters { Mirostat = version, MirostatTau = 3, MirostatEta = 0.3f, Seed = 4 });
        using LocalEngine engine = Load(s_settings with { DraftTokens = draftTokens }, [2, 4]);
        int[] prompt = Prompt(4, 50);
        var logProbs = new List<float>();
        var tokens = new List<int>();
        await engine.GenerateAsync(Request(prompt, 40, sampling), report => { tokens.AddRange(report.Tokens); logProbs.AddRange(report.LogProbs); }, CancellationToken.None).WaitAsync(Deadline);
        Assert.Equal(40, logProbs.Count);

        // Without its state the text would go on otherwise: after twenty tokens of an eta this large it is far from where it began.
        for (int emitted = 0; emitted < 40; emitted += 13)
        {
            (int[] rest, _) = await RunAsync(engine, Request(prompt, 40, sampling, [.. tokens.Take(emitted)]) with { EmittedLogProbs = [.. logProbs.Take(emitted)] });
            Assert.Equal(tokens.Skip(emitted), rest);
        }

        (int[] changed, _) = await RunAsync(engine, Request(prompt, 40, sampling, [.. tokens.Take(20)]) with { EmittedLogProbs = new float[20] });
        Assert.NotEqual(tokens.Skip(20), changed);
        (_, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(prompt, 40, sampling, [.. tokens.Take(20)]));
        Assert.Equal((GenerationOutcome.Refused, "mirostat goes on from the log-probabilities of 20 emitted tokens, 0 came"), (ended.Outcome, ended.Reason));
    }

    [Fact]
    public async Task Generation_WhoseGrammarLeavesNoToken_EndsAloneAndSaysSo()
    {
        // The model brings no tokenizer, so that no token belongs to the grammar.
        using LocalEngine engine = Load(s_settings, [2, 4]);
        SamplingSettings constrained = SamplingSettings.From(new Lamina.Compute.Sampling.SamplingParameters { Grammar = new(Lamina.Compute.Grammar.GrammarKind.Regex, "a+") });
        Task<(int[] Tokens, GenerationProtocol.GenerationEnded Ended)> free = RunAsync(engine, Request(Prompt(1, 20), 20));
        (_, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(Prompt(2, 20), 20, constrained));
        Assert.Equal((GenerationOutcome.GrammarExhausted, "the grammar leaves no token of the vocabulary after 0 tokens of the answer"), (ended.Outcome, ended.Reason));
        Assert.Equal(20, (await free).Tokens.Length);
    }

    [Fact]
    public async Task Generations_SteeredByMirostatAndPreempted_AreStillEqual()
    {
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(Prompt(i, 40), 120, SamplingSettings.From(new Lamina.Compute.Sampling.SamplingParameters { Mirostat = 2, MirostatTau = 3, MirostatEta = 0.3f, Seed = (ulong)i })))];
        int[][] expected = await AloneAsync(requests);
        using LocalEngine engine = Load(s_settings with { KvBlocks = 9 }, [3, 3]);
        Assert.Equal(expected, (await Task.WhenAll(requests.Select(r => RunAsync(engine, r)))).Select(r => r.Tokens));
    }

    [Fact]
    public async Task Generations_WithTooFewBlocksForAll_ArePreemptedAndStillEqual()
    {
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(Prompt(i, 40), 120, Seeded((ulong)i)))];
        int[][] expected = await AloneAsync(requests);
        using LocalEngine engine = Load(s_settings with { KvBlocks = 9 }, [3, 3]);
        Assert.Equal(expected, (await Task.WhenAll(requests.Select(r => RunAsync(engine, r)))).Select(r => r.Tokens));
    }

    [Fact]
    public async Task Prompt_SeenBefore_IsServedFromThePrefixCacheWithTheSameTokens()
    {
        using LocalEngine engine = Load(s_settings, [3, 3]);
        int[] prompt = Prompt(5, 100);
        (int[] first, GenerationProtocol.GenerationEnded cold) = await RunAsync(engine, Request(prompt, 20));
        (int[] second, GenerationProtocol.GenerationEnded warm) = await RunAsync(engine, Request(prompt, 20));
        Assert.Equal(0, cold.CachedPromptTokens);
        Assert.Equal(96, warm.CachedPromptTokens);
        Assert.Equal(first, second);
    }

    [Fact]
    public async Task Generation_Cancelled_EndsAndFreesItsBlocksForTheNext()
    {
        // Either prompt needs most of the blocks: the second can only run once the first has given them back.
        using LocalEngine engine = Load(s_settings with { KvBlocks = 7 }, [3, 3]);
        using var cancel = new CancellationTokenSource();
        Task<(int[] Tokens, GenerationProtocol.GenerationEnded Ended)> first = RunAsync(engine, Request(Prompt(6, 150), 60), cancel.Token, count =>
        {
            if (count == 5)
            {
                cancel.Cancel();
            }
        });
        (int[] tokens, GenerationProtocol.GenerationEnded second) = await RunAsync(engine, Request(Prompt(7, 150), 10));
        Assert.Equal(GenerationOutcome.Cancelled, (await first).Ended.Outcome);
        Assert.Equal(GenerationOutcome.Length, second.Outcome);
        Assert.Equal(10, tokens.Length);
    }

    [Fact]
    public async Task Generation_ReachingAStopToken_EndsWithoutIt()
    {
        using LocalEngine engine = Load(s_settings, [6]);
        (int[] free, _) = await RunAsync(engine, Request(Prompt(8, 20), 20));
        int stop = free[^1];
        (int[] tokens, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(Prompt(8, 20), 20, stop: [stop]));
        Assert.Equal(GenerationOutcome.Stop, ended.Outcome);
        Assert.Equal(free.TakeWhile(t => t != stop), tokens);
    }

    [Fact]
    public async Task Generation_ReachingTheContext_EndsWithLength()
    {
        using LocalEngine engine = Load(s_settings, [6]);
        (int[] tokens, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(Prompt(9, 250), 100));
        Assert.Equal(GenerationOutcome.Length, ended.Outcome);
        Assert.Equal(6, tokens.Length);
    }

    [Fact]
    public async Task LogProbs_AskedFor_ComeWithEachToken()
    {
        using LocalEngine engine = Load(s_settings, [2, 4]);
        var reports = new List<GenerationProtocol.TokensGenerated>();
        await engine.GenerateAsync(Request(Prompt(10, 10), 5, Greedy with { LogProbs = true, TopLogProbs = 3 }), reports.Add, CancellationToken.None).WaitAsync(Deadline);
        Assert.Equal(5, reports.Count);
        Assert.All(reports, r =>
        {
            Assert.Equal(3, r.TopIds.Length);
            Assert.Equal(r.Tokens[0], r.TopIds[0]);
            Assert.Equal(r.LogProbs[0], r.TopLogProbs[0]);
            Assert.InRange(r.LogProbs[0], -10, 0);
        });
    }

    [Theory]
    [InlineData(new int[0], 5, "the prompt is empty")]
    [InlineData(new[] { 1, 160 }, 5, "token 160 is not in the vocabulary of 160")]
    [InlineData(new[] { 1 }, 0, "max_tokens is 0, at least 1 is needed")]
    public async Task Request_ThatCannotRun_IsRefusedWithASentence(int[] prompt, int maxTokens, string reason)
    {
        using LocalEngine engine = Load(s_settings, [6]);
        (_, GenerationProtocol.GenerationEnded ended) = await RunAsync(engine, Request(prompt, maxTokens));
        Assert.Equal(GenerationOutcome.Refused, ended.Outcome);
        Assert.Equal(reason, ended.Reason);
    }

    [Fact]
    public void Load_WithAGapBetweenStages_SaysWhere()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => LocalEngine.Load(_model.File, s_settings, [new LayerRange(0, 2), new LayerRange(3, 6)]));
        Assert.Contains("layers 3-5 do not follow layer 1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dispose_WhileGenerating_FailsTheGeneration()
    {
        LocalEngine engine = Load(s_settings, [3, 3]);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<(int[] Tokens, GenerationProtocol.GenerationEnded Ended)> run = RunAsync(engine, Request(Prompt(11, 10), 240), onToken: _ => started.TrySetResult());
        await started.Task.WaitAsync(Deadline);
        engine.Dispose();
        Assert.Contains((await run).Ended.Outcome, new[] { GenerationOutcome.Failed, GenerationOutcome.Length });
    }

    private LocalEngine Load(StageSettings settings, int[] layers, GgufFile? draft = null)
    {
        var ranges = new List<LayerRange>();
        foreach (int count in layers)
        {
            int first = ranges.Count == 0 ? 0 : ranges[^1].End;
            ranges.Add(new LayerRange(first, first + count));
        }

        return LocalEngine.Load(_model.File, settings, ranges, draft: draft);
    }

    /// <summary>Each request by itself on a fresh engine of one stage.</summary>
    private async Task<int[][]> AloneAsync(GenerationProtocol.Submit[] requests, StageSettings? settings = null)
    {
        var results = new List<int[]>();
        foreach (GenerationProtocol.Submit request in requests)
        {
            using LocalEngine engine = Load(settings ?? s_settings, [TinyModel.Layers]);
            results.Add((await RunAsync(engine, request)).Tokens);
        }

        return [.. results];
    }
}
