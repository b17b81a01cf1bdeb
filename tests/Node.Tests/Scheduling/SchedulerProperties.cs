using CsCheck;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Node.Pipeline;
using Lamina.Node.Scheduling;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Scheduling;

/// <summary>Random loads on random pipelines: whatever the scheduler decides, each generation ends once, with its own tokens, and no block is lost or shared wrongly.</summary>
public class SchedulerProperties
{
    internal sealed record Request(int[] Prompt, int MaxTokens, int Priority, int CancelAt, int ArrivesAt, int Resumed, int Lane, int Weight, int Window);

    internal sealed record Load(int Stages, int Blocks, int Sequences, int ContextLength, int Chunk, bool Cache, int Draft, Request[] Requests, int Seed);

    private static readonly Gen<Request> s_request =
        from shared in Gen.Int[0, 90]
        from own in Gen.Int[0, 2].Array[1, 60]
        from max in Gen.Int[1, 80]
        from priority in Gen.Int[0, 2]
        from cancelAt in Gen.Int[-400, 200]
        from arrivesAt in Gen.Int[0, 120]
        from resumed in Gen.Int[-10, 10]
        from lane in Gen.Int[0, 3]
        from weight in Gen.Int[1, 4]
        from window in Gen.OneOf(Gen.Const(0), Gen.Int[1, 24])
        select new Request([.. Enumerable.Range(0, shared).Select(i => i % 7), .. own], max, priority, cancelAt, arrivesAt, resumed, lane, weight, window);

    private static readonly Gen<Load> s_load =
        from stages in Gen.Int[1, 5]
        from blocks in Gen.Int[2, 24]
        from sequences in Gen.Int[1, 8]
        from context in Gen.Int[33, 300]
        from chunk in Gen.Int[1, 100]
        from cache in Gen.Bool
        from draft in Gen.OneOf(Gen.Const(0), Gen.Int[1, 20])
        from requests in s_request.Array[1, 14]
        from seed in Gen.Int
        select new Load(stages, blocks, sequences, context, chunk, cache, draft, requests, seed);

    [Trait("Attack", "B9")]
    [Fact]
    public void Scheduler_UnderAnyLoad_EndsEachGenerationOnceWithItsOwnTokensAndLeaksNoBlock()
    {
        int copies = 0;
        int rightGuesses = 0;
        s_load.Sample(
            load =>
            {
                PipelineModel model = Run(load);
                Interlocked.Add(ref copies, model.Copies);
                Interlocked.Add(ref rightGuesses, model.RightGuesses);
            },
            iter: 3000);
        Assert.True(copies > 100 && rightGuesses > 1000, $"{copies} copies and {rightGuesses} right guesses: the loads hardly try them");
    }

    /// <summary>The property must notice what it is there for; each bug by the invariant that it breaks, and by no other.</summary>
    [Theory]
    [InlineData("LeakedBlock", "Expected: 24", "Actual:   23")]
    [InlineData("UnboundedQueue", "generations wait, 6 may", "")]
    [InlineData("SharedPool", "the history read back is not the sequence's", "")]
    public void Scheduler_OfAPlantedBug_IsNoticed(string bug, string symptom, string alsoSaid)
    {
        Request[] requests = [.. Enumerable.Range(0, 20).Select(i => new Request([1, 2, 3 + i], 40, 0, -1, 0, 0, 0, 1, 0))];
        var load = new Load(Stages: 2, Blocks: 24, Sequences: 4, ContextLength: 200, Chunk: 32, Cache: false, Draft: 0, requests, Seed: 1);

        Run(load, maxWaiting: 6);
        var noticed = Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Run(load, Enum.Parse<Planted>(bug), maxWaiting: 6));

        Assert.Contains(symptom, noticed.Message, StringComparison.Ordinal);
        Assert.Contains(alsoSaid, noticed.Message, StringComparison.Ordinal);
    }

    /// <summary>A block that is taken and never given back; a queue without a bound; two sequences' blocks in the same memory.</summary>
    internal enum Planted { None, LeakedBlock, UnboundedQueue, SharedPool }

    /// <param name="maxWaiting">Generations that may wait; those beyond are refused.</param>
    private static PipelineModel Run(Load load, Planted planted = Planted.None, int maxWaiting = int.MaxValue)
    {
        var settings = new StageSettings(load.ContextLength, load.Blocks, load.Sequences, 128, load.Chunk, 1, 1, load.Draft);
        var model = new PipelineModel(settings, sharedPool: planted == Planted.SharedPool);
        SchedulerLimits limits = SchedulerLimits.From(settings, load.Stages, PipelineModel.Vocabulary) with
        {
            PrefixCache = load.Cache,
            MaxWaiting = planted == Planted.UnboundedQueue ? int.MaxValue : maxWaiting,
        };
        var scheduler = new Scheduler(limits);
        if (planted == Planted.LeakedBlock)
        {
            var pool = (BlockPool)typeof(Scheduler).GetField("_blocks", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!.GetValue(scheduler)!;
            Assert.True(pool.TryTake(out _));
        }

        var random = new Random(load.Seed);
        var owner = new object();
        var emitted = new Dictionary<GenerationId, List<int>>();
        var ended = new Dictionary<GenerationId, SchedulerEvent>();

        void Collect(SampledTokens? sampled)
        {
            foreach (SchedulerEvent e in scheduler.Events)
            {
                Assert.False(ended.ContainsKey(e.Sequence.Id));
                if (e.Outcome is null)
                {
                    emitted[e.Sequence.Id].Add(sampled![e.SampledIndex].Token);
                    Assert.True(emitted[e.Sequence.Id].Count <= e.Sequence.Allowed, "emitted more than was allowed");
                    Assert.Equal(emitted[e.Sequence.Id].Count - 1, e.Index);
                }
                else
                {
                    ended.Add(e.Sequence.Id, e);
                }
            }

            scheduler.ClearEvents();
        }

        for (int time = 0; ended.Count < load.Requests.Length; time++)
        {
            Assert.True(time < 20_000, "the load never ends");
            for (int i = 0; i < load.Requests.Length; i++)
            {
                Request request = load.Requests[i];
                var id = new GenerationId(0, (ulong)i);
                if (request.ArrivesAt == time)
                {
                    int[] resumed = Resumed(request, load.ContextLength);
                    emitted.Add(id, [.. resumed]);
                    scheduler.Submit(Submit(id, request, resumed), owner);
                }

                // Whoever takes its tokens does so now and then, and all of them.
                if (request.Window > 0 && emitted.TryGetValue(id, out List<int>? taken) && random.Next(20) == 0)
                {
                    scheduler.Allow(id, owner, taken.Count + request.Window);
                }

                if (request.CancelAt == time)
                {
                    scheduler.Cancel(id, owner);
                }
            }

            Collect(null);
            Assert.True(scheduler.Waiting <= maxWaiting, $"{scheduler.Waiting} generations wait, {maxWaiting} may");
            if (random.Next(2) == 0 && scheduler.StepsInFlight <= load.Stages)
            {
                var step = new Step(settings.MaxBatchRows);
                if (scheduler.TryPlan(step, settings.PrefillChunk))
                {
                    model.Enqueue(step);
                }

                Collect(null);
            }

            if (model.Steps > 0 && random.Next(2) == 0)
            {
                (int number, SampledTokens sampled) = model.ExecuteOne();
                scheduler.Complete(number, sampled);
                Collect(sampled);
            }
        }

        Drain(scheduler, model, settings);
        Assert.Equal(load.Blocks, scheduler.FreeBlocks);
        Assert.Equal(0, scheduler.Running + scheduler.Waiting);
        if (!load.Cache)
        {
            Assert.Equal(0, model.UsedBlocks);
        }

        for (int i = 0; i < load.Requests.Length; i++)
        {
            Check(load, load.Requests[i], emitted[new GenerationId(0, (ulong)i)], ended[new GenerationId(0, (ulong)i)]);
        }

        return model;
    }

    private static void Check(Load load, Request request, List<int> emitted, SchedulerEvent end)
    {
        int[] resumed = Resumed(request, load.ContextLength);
        (int[] tokens, GenerationOutcome outcome) = PipelineModel.Expected(request.Prompt, request.MaxTokens, load.ContextLength);
        Assert.Equal(emitted.Count, end.Index);
        switch (end.Outcome)
        {
            case GenerationOutcome.Refused:
                Assert.Equal(resumed, emitted);
                Assert.True(request.Prompt.Length >= load.ContextLength || request.Prompt.Length + resumed.Length + 1 > load.Blocks * KvCache.BlockPositions
                    || end.Reason.Contains("wait", StringComparison.Ordinal), end.Reason);
                break;
            case GenerationOutcome.Cancelled:
                Assert.True(request.CancelAt >= 0);
                Assert.Equal(tokens.Take(emitted.Count), emitted);
                break;
            case GenerationOutcome.Length when request.Prompt.Length + emitted.Count > load.Blocks * KvCache.BlockPositions:
                // It filled the whole cache by itself.
                Assert.Equal(tokens.Take(emitted.Count), emitted);
                break;
            default:
                Assert.Equal(tokens, emitted);
                Assert.Equal(outcome, end.Outcome);
                break;
        }
    }

    private static void Drain(Scheduler scheduler, PipelineModel model, StageSettings settings)
    {
        while (model.Steps > 0 || scheduler.StepsInFlight > 0)
        {
            (int number, SampledTokens sampled) = model.ExecuteOne();
            scheduler.Complete(number, sampled);
        }

        var last = new Step(settings.MaxBatchRows);
        if (scheduler.TryPlan(last, settings.PrefillChunk))
        {
            Assert.Equal(0, last.Batch.RowCount);
            model.Enqueue(last);
            scheduler.Complete(last.Number, model.ExecuteOne().Sampled);
        }

        Assert.Empty(scheduler.Events);
    }

    private static int[] Resumed(Request request, int contextLength)
    {
        (int[] tokens, _) = PipelineModel.Expected(request.Prompt, request.MaxTokens, Math.Max(contextLength, request.Prompt.Length + 1));
        return tokens.Take(Math.Max(0, Math.Min(request.Resumed, tokens.Length - 1))).ToArray();
    }

    private static GenerationProtocol.Submit Submit(GenerationId id, Request request, int[] resumed) => new(
        new TenantId("test"), id, request.Prompt, resumed, request.MaxTokens, [PipelineModel.StopToken],
        Generations.Greedy, request.Priority, Lane: (ulong)request.Lane, Weight: request.Weight, Allowed: request.Window == 0 ? 0 : resumed.Length + request.Window);
}
