using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;
using Lamina.Node.Scheduling;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Scheduling;

/// <summary>Single decisions, worked out by hand.</summary>
public class SchedulerTests
{
    private static readonly SchedulerLimits s_limits = new()
    {
        ContextLength = 256, KvBlocks = 16, MaxSequences = 8, MaxBatchRows = 64, VocabularySize = PipelineModel.Vocabulary,
    };

    private readonly object _owner = new();

    [Fact]
    public void Plan_WithRunningSequencesAndAPrompt_MixesDecodeRowsWithAChunk()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 3);
        Complete(scheduler, Plan(scheduler), 1);
        Submit(scheduler, 2, 50);
        Step step = Plan(scheduler, prefillRows: 20);
        Assert.Equal(21, step.Batch.RowCount);
        Assert.Equal([0], step.Batch.LogitRows);
        Assert.Equal(3, step.Batch.Positions[0]);
        Assert.Equal(Enumerable.Range(0, 20), step.Batch.Positions[1..].ToArray());
    }

    [Fact]
    public void Plan_OverFourStages_SplitsReadySequencesSoThatEachStageHasWork()
    {
        var scheduler = new Scheduler(s_limits with { Stages = 4 });
        for (ulong i = 0; i < 8; i++)
        {
            Submit(scheduler, i, 1);
        }

        int[] rows = [.. Enumerable.Range(0, 4).Select(_ => Plan(scheduler).Batch.RowCount)];
        Assert.Equal([2, 2, 2, 2], rows);
        Assert.False(scheduler.TryPlan(new Step(64), 64));
    }

    [Fact]
    public void Plan_OfOneLongPromptOverThreeStages_KeepsAChunkInFlightForEach()
    {
        var scheduler = new Scheduler(s_limits with { Stages = 3 });
        Submit(scheduler, 1, 192);
        Assert.Equal([32, 32, 32], Enumerable.Range(0, 3).Select(_ => Plan(scheduler).Batch.RowCount));
    }

    [Fact]
    public void Waiting_WithHigherPriority_RunsFirst()
    {
        var scheduler = new Scheduler(s_limits with { MaxSequences = 1 });
        Submit(scheduler, 1, 3, priority: 0);
        Submit(scheduler, 2, 4, priority: 0);
        Submit(scheduler, 3, 5, priority: 1);
        Assert.Equal(5, Plan(scheduler).Batch.RowCount);
    }

    [Fact]
    public void HigherPriority_EverySlotTakenByLower_TakesTheLastOnesPlaceAtTheNextStep()
    {
        var scheduler = new Scheduler(s_limits with { MaxSequences = 2 });
        Submit(scheduler, 1, 3, priority: -1, seed: 3);
        Submit(scheduler, 2, 4, priority: -1, seed: 5);
        Complete(scheduler, Plan(scheduler), 1, 1);
        Submit(scheduler, 3, 7, priority: 0, seed: 7);
        Step step = Plan(scheduler);
        Assert.Equal(1 + 7, step.Batch.RowCount);
        Assert.Equal((1, 2, 1), (scheduler.Preemptions, scheduler.Running, scheduler.Waiting));

        // An equal takes nobody's place; the one that gave way goes on once there is room, with its prompt and the token that it had.
        Submit(scheduler, 4, 2, priority: -1, seed: 11);
        Complete(scheduler, step, 1, 1);
        scheduler.Cancel(new GenerationId(0, 3), _owner);
        Assert.Equal(1 + 5, Plan(scheduler).Batch.RowCount);
        Assert.Equal(1, scheduler.Preemptions);
    }

    [Fact]
    public void HigherPriority_BlocksTakenByLower_TakesThemIfTheySuffice()
    {
        // Of six blocks each of the two lower ones holds two, and the next wants two and one more for each that runs.
        var scheduler = new Scheduler(s_limits with { KvBlocks = 6, PrefixCache = false });
        Submit(scheduler, 1, 33, priority: -1, seed: 3);
        Submit(scheduler, 2, 33, priority: -1, seed: 5);
        Complete(scheduler, Plan(scheduler, prefillRows: 66), 1, 1);
        Submit(scheduler, 3, 60, priority: 0, seed: 7);
        Complete(scheduler, Plan(scheduler), 1, 1);
        Assert.Equal((1, 2), (scheduler.Preemptions, scheduler.Running));

        // Four more are more than there would be if the lower one gave up its own, so it does not.
        Submit(scheduler, 4, 100, priority: 0, seed: 11);
        Plan(scheduler);
        Assert.Equal((1, 2), (scheduler.Preemptions, scheduler.Running));
    }

    [Fact]
    public void Waiting_WithoutEnoughBlocks_RunsOnceTheyAreFreed()
    {
        // A sequence of 32 tokens needs two blocks for them and the next one; the pool has three.
        var scheduler = new Scheduler(s_limits with { KvBlocks = 3, PrefixCache = false });
        Submit(scheduler, 1, 32);
        Submit(scheduler, 2, 32);
        Complete(scheduler, Plan(scheduler), 1);
        Assert.Equal(1, scheduler.Running);
        Assert.Equal(1, scheduler.Waiting);
        scheduler.Cancel(new GenerationId(0, 1), _owner);
        Assert.Equal(32, Plan(scheduler).Batch.RowCount);
        Assert.Equal(1, scheduler.Running);
    }

    [Fact]
    public void Decoding_PastTheLastFreeBlock_PreemptsAndRecomputes()
    {
        var scheduler = new Scheduler(s_limits with { KvBlocks = 3, PrefixCache = false });
        Submit(scheduler, 1, 20);
        Submit(scheduler, 2, 20);
        Step step = Plan(scheduler);
        for (int i = 0; i < 12; i++)
        {
            Complete(scheduler, step, 1, 1);
            step = Plan(scheduler);
        }

        // Position 32 of both: one block is left, so the earlier one gets it and the later one is computed again.
        Complete(scheduler, step, 1, 1);
        Step next = Plan(scheduler);
        Assert.Equal(1, scheduler.Preemptions);
        Assert.Equal([32], next.Batch.Positions.ToArray());
    }

    [Fact]
    public void Cancel_WhileATokenIsInFlight_FreesAtOnceAndDropsTheToken()
    {
        var scheduler = new Scheduler(s_limits with { PrefixCache = false });
        Submit(scheduler, 1, 40);
        Step step = Plan(scheduler);
        Assert.Equal(14, scheduler.FreeBlocks);
        scheduler.Cancel(new GenerationId(0, 1), _owner);
        Assert.Equal(16, scheduler.FreeBlocks);
        scheduler.ClearEvents();
        Complete(scheduler, step, 1);
        Assert.Empty(scheduler.Events);

        // What was freed is zeroed by a step of its own, at once.
        Step clearing = Plan(scheduler);
        Assert.Equal(0, clearing.Batch.RowCount);
        Assert.False(clearing.Operations.IsEmpty);
    }

    [Trait("Attack", "B9")]
    [Fact]
    public void Cancel_ByAnotherOwner_DoesNothing()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 4);
        scheduler.Cancel(new GenerationId(0, 1), new object());
        Assert.Equal(1, scheduler.Waiting);
    }

    /// <summary>
    /// By design: a coordinator that goes on with the streams of one that was lost submits them under their own identifiers, maybe before the head has noticed the loss. Owners are coordinators of one
    /// tenant, by certificate; the identifiers are 128 random bits; and a message that names another tenant never gets here (PipelineOverLinksTests).
    /// </summary>
    [Trait("Attack", "B9")]
    [Fact]
    public void Submit_OfARunningGenerationByAnotherOwner_TakesItOver()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 4);
        scheduler.Submit(Request(1, 4, 0), new object());
        SchedulerEvent e = Assert.Single(scheduler.Events);
        Assert.Equal((GenerationOutcome.Cancelled, _owner), (e.Outcome, e.Sequence.Owner));
        Assert.Equal(1, scheduler.Waiting);
    }

    [Fact]
    public void Complete_ThatDoesNotAnswerTheOldestStep_IsRefused()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 4);
        Step step = Plan(scheduler);
        Assert.Throws<InvalidDataException>(() => scheduler.Complete(step.Number + 1, new SampledTokens()));
    }

    [Fact]
    public void Complete_WithTooFewTokensOrUnknownOnes_IsRefused()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 4);
        Assert.Throws<InvalidDataException>(() => scheduler.Complete(Plan(scheduler).Number, new SampledTokens()));
        Submit(scheduler, 2, 4);
        Step second = Plan(scheduler);
        Assert.Throws<InvalidDataException>(() => Complete(scheduler, second, PipelineModel.Vocabulary));
    }

    [Fact]
    public void PrefixCache_AfterOthersTookTheBlocks_ForgetsTheOldest()
    {
        var scheduler = new Scheduler(s_limits with { KvBlocks = 4 });
        Submit(scheduler, 1, 70);
        Complete(scheduler, Plan(scheduler, 128), PipelineModel.StopToken);
        Assert.Equal(4, scheduler.FreeBlocks);
        Submit(scheduler, 2, 100, seed: 9);
        Complete(scheduler, Plan(scheduler, 128), PipelineModel.StopToken);
        scheduler.ClearEvents();
        Submit(scheduler, 3, 70);
        Complete(scheduler, Plan(scheduler, 128), PipelineModel.StopToken);
        Assert.Equal(0, Assert.Single(scheduler.Events).Sequence.CachedPromptTokens);
    }

    [Theory]
    [InlineData(false, false, 64)]
    [InlineData(true, true, 0)]
    [InlineData(true, false, 0)]
    [InlineData(false, true, 0)]
    public void PrefixCache_OfALaneThatKeepsItsOwn_IsFoundByThatLaneAlone(bool firstKeeps, bool secondKeeps, int shared)
    {
        var scheduler = new Scheduler(s_limits);
        Assert.Equal(0, CachedTokens(1, lane: 1, firstKeeps));
        Assert.Equal(shared, CachedTokens(2, lane: 2, secondKeeps));
        Assert.Equal(64, CachedTokens(3, lane: 1, firstKeeps));
        Assert.Equal(64, CachedTokens(4, lane: 2, secondKeeps));

        int CachedTokens(ulong id, ulong lane, bool keeps)
        {
            scheduler.ClearEvents();
            scheduler.Submit(Request(id, 70, 0) with { Lane = lane, OwnPrefixes = keeps }, _owner);
            Complete(scheduler, Plan(scheduler, 128), PipelineModel.StopToken);
            return Assert.Single(scheduler.Events).Sequence.CachedPromptTokens ?? -1;
        }
    }

    [Fact]
    public void RunningPrompts_OfLanesThatKeepTheirOwn_AreNotShared()
    {
        var scheduler = new Scheduler(s_limits);
        scheduler.Submit(Request(1, 50, 0) with { Lane = 1, OwnPrefixes = true }, _owner);
        scheduler.Submit(Request(2, 50, 0) with { Lane = 2, OwnPrefixes = true }, _owner);
        Assert.Equal(100, Plan(scheduler, prefillRows: 128).Batch.RowCount);
    }

    [Fact]
    public void IdenticalPrompts_SubmittedTogether_AreComputedOnceAndShareTheirBlocks()
    {
        var scheduler = new Scheduler(s_limits);
        for (ulong i = 0; i < 4; i++)
        {
            Submit(scheduler, i, 50);
        }

        Step first = Plan(scheduler);
        Assert.Equal(50, first.Batch.RowCount);
        Assert.Equal(1, scheduler.Running);

        // The others share the full block, copy the second and compute the last position for their own logits.
        Step second = Plan(scheduler);
        Assert.Equal([49, 49, 49], second.Batch.Positions.ToArray());
        Assert.Equal(3, second.Batch.LogitRowCount);
        Assert.Equal(16 - 2 - 3, scheduler.FreeBlocks);
    }

    [Fact]
    public void Prompt_ThatBeginsLikeOneBeingComputed_WaitsForItWhileOthersGoAhead()
    {
        var scheduler = new Scheduler(s_limits);
        Submit(scheduler, 1, 100);
        Plan(scheduler, prefillRows: 20);
        Submit(scheduler, 2, 90);
        Submit(scheduler, 3, 10, seed: 11);
        Plan(scheduler, prefillRows: 64);
        Assert.Equal((2, 1), (scheduler.Running, scheduler.Waiting));
    }

    [Fact]
    public void Decoding_OfATextThatRepeatsItself_GuessesAheadAndTakesWhatIsRight()
    {
        var scheduler = new Scheduler(s_limits with { DraftTokens = 8 });
        scheduler.Submit(Request(1, 0, 0) with { PromptTokens = [5, 6, 7, 8, 9, 5, 6] }, _owner);
        Complete(scheduler, Plan(scheduler), 7);
        scheduler.ClearEvents();

        Step step = Plan(scheduler);
        Assert.Equal([7, 8, 9, 5, 6], step.Batch.Tokens.ToArray());
        Assert.Equal([7, 8, 9, 10, 11], step.Batch.Positions.ToArray());
        Assert.Equal(5, step.Batch.LogitRowCount);

        // The tail agrees with 8 and 9, then says 40: three tokens from one step, and the next row follows the last.
        Complete(scheduler, step, 8, 9, 40);
        Assert.Equal(3, scheduler.Events.Count);
        Step next = Plan(scheduler);
        Assert.Equal((40, 10), (next.Batch.Tokens[0], next.Batch.Positions[0]));
    }

    [Fact]
    public void Guesses_ThatAreNeverRight_BecomeRare()
    {
        var scheduler = new Scheduler(s_limits with { DraftTokens = 8, ContextLength = 4096, KvBlocks = 128 });
        scheduler.Submit(Request(1, 0, 0) with { PromptTokens = [1, 2, 3, 1, 2], MaxTokens = 2000 }, _owner);
        int rows = 0;
        for (int i = 0; i < 1000; i++)
        {
            // 1 2 came before, so there is always something to guess; what follows is always another token.
            Step step = Plan(scheduler);
            rows += step.Batch.RowCount;
            Complete(scheduler, step, (i % 3) switch { 0 => 4 + (i / 3 % 90), 1 => 1, _ => 2 });
        }

        Assert.InRange(rows, 1000, 1000 + 40);
    }

    private void Submit(Scheduler scheduler, ulong id, int promptLength, int priority = 0, int seed = 3) =>
        scheduler.Submit(Request(id, promptLength, priority, seed), _owner);

    private static GenerationProtocol.Submit Request(ulong id, int promptLength, int priority, int seed = 3) => new(
        new TenantId("test"), new GenerationId(0, id), [.. Enumerable.Range(0, promptLength).Select(i => i * seed % 50)], [], 100, [PipelineModel.StopToken], Generations.Greedy, priority);

    private static Step Plan(Scheduler scheduler, int prefillRows = 64)
    {
        var step = new Step(Math.Max(prefillRows, 64));
        Assert.True(scheduler.TryPlan(step, prefillRows));
        return step;
    }

    private static void Complete(Scheduler scheduler, Step step, params int[] tokens)
    {
        var sampled = new SampledTokens();
        foreach ((int row, int token) in step.Batch.LogitRows.ToArray().Zip(tokens))
        {
            sampled.Add(step.Batch.Slots[row], token, 0, 0);
        }

        scheduler.Complete(step.Number, sampled);
    }
}
