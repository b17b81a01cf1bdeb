using CsCheck;
using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;
using Lamina.Node.Scheduling;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Scheduling;

/// <summary>Lanes share the pipeline: whatever the others ask for, a lane has its part of the rows and does not wait for theirs to end.</summary>
public class LaneProperties
{
    private const int Quantum = 32;
    private const int PrefillRows = 64;
    private const int Slots = 8;
    private const ulong Newcomer = 99;

    internal sealed record Flood(int[] Weights, int[] Prompts, int Depth, int ArrivesAt, int Prompt, int Weight, int Blocks);

    private static readonly Gen<Flood> s_flood =
        from weights in Gen.Int[1, 4].Array[1, 6]
        from prompts in Gen.Int[1, 200].Array[4, 12]
        from depth in Gen.Int[1, 40]
        from arrivesAt in Gen.Int[0, 60]
        from prompt in Gen.Int[1, 200]
        from weight in Gen.Int[1, 4]
        from blocks in Gen.Int[80, 300]
        select new Flood(weights, prompts, depth, arrivesAt, prompt, weight, blocks);

    /// <summary>
    /// A newcomer needs ceil(prompt / (32 weight)) turns; between two of its turns each other lane has at most one of its own. That bounds the rows before its first token, and each
    /// step has 64 of them. Two steps more: one to be admitted, one whose rows were under way.
    /// </summary>
    [Fact]
    public void Newcomer_AmongFloodingLanes_HasItsFirstTokenWithinItsTurns() => s_flood.Sample(
        flood =>
        {
            int turns = ((flood.Prompt - 1) / (Quantum * flood.Weight)) + 1;
            int rows = flood.Prompt + ((turns + 1) * Quantum * flood.Weights.Sum());
            int bound = ((rows - 1) / PrefillRows) + 3;
            int took = StepsToFirstToken(flood, bound);
            Assert.True(took <= bound, $"took {took} steps, bound {bound}");
        },
        iter: 400);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 3)]
    [InlineData(4, 2)]
    public void Prompts_OfTwoLanes_AdvanceInProportionToTheirWeights(int first, int second)
    {
        Scheduler scheduler = Create(300, slots: 2);
        Submit(scheduler, 1, lane: 1, first, Prompt(1, 2000));
        Submit(scheduler, 2, lane: 2, second, Prompt(2, 2000));
        int[] rows = new int[2];
        for (int i = 0; i < 12; i++)
        {
            Step step = Plan(scheduler)!;
            foreach (int slot in step.Batch.Slots)
            {
                rows[slot]++;
            }

            Complete(scheduler, step);
            Assert.InRange((rows[0] / (double)first) - (rows[1] / (double)second), -Quantum, Quantum);
        }
    }

    [Fact]
    public void Lane_Alone_HasTheWholeStep()
    {
        Scheduler scheduler = Create(300);
        Submit(scheduler, 1, lane: 1, 1, Prompt(1, 200));
        Assert.Equal(PrefillRows, Plan(scheduler)!.Batch.RowCount);
    }

    [Fact]
    public void Places_FreedWhileTwoLanesWait_GoToTheOneWithFewerRunning()
    {
        Scheduler scheduler = Create(300, slots: 3);
        for (ulong i = 0; i < 6; i++)
        {
            Submit(scheduler, i, lane: 1, 1, Prompt((int)i, 3));
        }

        Submit(scheduler, 10, lane: 2, 1, Prompt(10, 3));
        Submit(scheduler, 11, lane: 2, 1, Prompt(11, 3));
        Complete(scheduler, Plan(scheduler)!);

        // Lane 1 got two of three places, lane 2 one; the next place is lane 2's.
        Assert.Equal(0, scheduler.Preemptions);
        scheduler.Cancel(new GenerationId(0, 0), this);
        Step next = Plan(scheduler)!;
        Assert.Equal(Prompt(11, 3), next.Batch.Tokens[^3..].ToArray());
    }

    [Fact]
    public void Lane_WithoutAnyPlace_TakesOneFromTheLaneThatHasMost()
    {
        Scheduler scheduler = Create(300, slots: 3);
        for (ulong i = 0; i < 3; i++)
        {
            Submit(scheduler, i, lane: 1, 1, Prompt((int)i, 3));
        }

        Complete(scheduler, Plan(scheduler)!);
        Submit(scheduler, 10, lane: 2, 1, Prompt(10, 3));
        Submit(scheduler, 11, lane: 2, 1, Prompt(11, 3));
        Plan(scheduler);
        Assert.Equal((1, 3, 2), (scheduler.Preemptions, scheduler.Running, scheduler.Waiting));
    }

    [Fact]
    public void Queue_FilledByOneLane_StillTakesAnother()
    {
        var scheduler = new Scheduler(Limits(300, 2) with { MaxWaiting = 8, MaxWaitingPerLane = 4 });
        for (ulong i = 0; i < 10; i++)
        {
            Submit(scheduler, i, lane: 1, 1, Prompt((int)i, 3));
        }

        Assert.Equal(6, scheduler.Events.Count(e => e.Outcome == GenerationOutcome.Refused));
        scheduler.ClearEvents();
        Submit(scheduler, 20, lane: 2, 1, Prompt(20, 3));
        Assert.Empty(scheduler.Events);
    }

    private int StepsToFirstToken(Flood flood, int giveUp)
    {
        Scheduler scheduler = Create(flood.Blocks);
        ulong ids = 0;
        var waiting = new Dictionary<ulong, int>();
        var lanes = new Dictionary<GenerationId, ulong>();
        for (int step = 0; step <= flood.ArrivesAt + giveUp + 1; step++)
        {
            for (ulong lane = 0; lane < (ulong)flood.Weights.Length; lane++)
            {
                while (waiting.GetValueOrDefault(lane) < flood.Depth)
                {
                    ulong id = ++ids;
                    waiting[lane] = waiting.GetValueOrDefault(lane) + 1;
                    lanes[new GenerationId(0, id)] = lane;
                    Submit(scheduler, id, lane, flood.Weights[lane], Prompt((int)id, flood.Prompts[id % (ulong)flood.Prompts.Length]), maxTokens: 30);
                }
            }

            if (step == flood.ArrivesAt)
            {
                scheduler.Submit(Request(ulong.MaxValue, Newcomer, flood.Weight, Prompt(7, flood.Prompt), 5), this);
            }

            if (Plan(scheduler) is { } planned)
            {
                Complete(scheduler, planned);
            }

            foreach (SchedulerEvent e in scheduler.Events)
            {
                if (e.Sequence.Id == new GenerationId(0, ulong.MaxValue))
                {
                    return step - flood.ArrivesAt + 1;
                }

                if (e.Outcome is not null)
                {
                    waiting[lanes[e.Sequence.Id]]--;
                }
            }

            scheduler.ClearEvents();
        }

        return int.MaxValue;
    }

    private static SchedulerLimits Limits(int blocks, int slots) => new()
    {
        ContextLength = 4096, KvBlocks = blocks, MaxSequences = slots, MaxBatchRows = PrefillRows + Slots, VocabularySize = PipelineModel.Vocabulary, PrefixCache = false,
    };

    private static Scheduler Create(int blocks, int slots = Slots) => new(Limits(blocks, slots));

    private void Submit(Scheduler scheduler, ulong id, ulong lane, int weight, int[] prompt, int maxTokens = 100) => scheduler.Submit(Request(id, lane, weight, prompt, maxTokens), this);

    private static GenerationProtocol.Submit Request(ulong id, ulong lane, int weight, int[] prompt, int maxTokens) => new(
        new TenantId("test"), new GenerationId(0, id), prompt, [], maxTokens, [PipelineModel.StopToken], Generations.Greedy, 0, Lane: lane, Weight: weight);

    private static int[] Prompt(int seed, int length) => [.. Enumerable.Range(0, length).Select(i => (i + (seed * 13)) % 90)];

    private static Step? Plan(Scheduler scheduler)
    {
        var step = new Step(PrefillRows + Slots);
        return scheduler.TryPlan(step, PrefillRows) ? step : null;
    }

    private static void Complete(Scheduler scheduler, Step step)
    {
        var sampled = new SampledTokens();
        foreach (int row in step.Batch.LogitRows.ToArray())
        {
            sampled.Add(step.Batch.Slots[row], 1, 0, 0);
        }

        scheduler.Complete(step.Number, sampled);
    }
}
