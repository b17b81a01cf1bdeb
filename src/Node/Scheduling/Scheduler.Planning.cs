using Lamina.Compute.Model;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Scheduling;

internal sealed partial class Scheduler
{
    /// <summary>With more, a step's rows cost more than what guesses save.</summary>
    internal const int MaxGuessingSequences = 4;

    private const int MaxGuessingRows = 16;

    /// <summary>
    /// Fills <paramref name="step"/> with the next micro-batch: one row for each sequence that waits for a token, then prompts in chunks. False when there is nothing to do until a
    /// step completes or a generation is submitted. A step may hold operations alone, so that freed blocks are zeroed at once.
    /// </summary>
    /// <param name="prefillRows">Most prompt rows to take in.</param>
    public bool TryPlan(Step step, int prefillRows)
    {
        step.Clear();
        Started.Clear();
        Admit();
        StepInFlight inFlight = _spare.TryPop(out StepInFlight? spare) ? spare : new StepInFlight();
        PlanDecoding(step.Batch, inFlight.Sampling);
        PlanPrefill(step.Batch, inFlight.Sampling, prefillRows);
        if (step.Batch.RowCount == 0 && _operations.IsEmpty)
        {
            _spare.Push(inFlight);
            return false;
        }

        step.Operations.Load(_operations.Words);
        _operations.Clear();
        step.Number = inFlight.Number = ++_steps;
        _inFlight.Enqueue(inFlight);
        return true;
    }

    private void PlanDecoding(StepBatch batch, List<Sequence> sampling)
    {
        Decoding = 0;
        int paused = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            paused += sequence.IsPaused ? 1 : 0;
            Decoding += sequence.Pending <= 1 && !sequence.Pool && !sequence.IsPaused ? 1 : 0;
        }

        if (_limits.WholeTexts)
        {
            return;
        }

        // So many that every stage has a micro-batch to work on.
        int share = (Decoding + _limits.Stages - 1) / _limits.Stages;
        int guesses = Decoding + paused < _running.Count ? 0 : MaxGuesses(share);
        for (int i = 0; i < _running.Count && sampling.Count < share; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Pending == 1 && !sequence.Pool && !sequence.IsPaused && TryGrow(sequence))
            {
                int before = batch.RowCount;
                AddRows(sequence, 1, batch, sampling);
                if (guesses > 0 && sequence.Draft is not null)
                {
                    AddGuesses(sequence, guesses, batch);
                }

                _lanes.Charge(sequence.Lane, batch.RowCount - before);
            }
        }
    }

    /// <summary>Guesses each of so many decoding sequences may add: as long as reading the weights takes longer than a few more rows, and no prompt fills the step anyway.</summary>
    private int MaxGuesses(int sequences)
    {
        if (_limits.DraftTokens == 0 || sequences is 0 or > MaxGuessingSequences)
        {
            return 0;
        }

        int rows = Math.Min(MaxGuessingRows, _limits.MaxBatchRows);
        return Math.Min(_limits.DraftTokens, (rows / sequences) - 1);
    }

    /// <summary>Rows behind a sequence's last token, one for each token it guesses; all of them are asked for logits, and the tail samples as far as the guesses are right.</summary>
    private void AddGuesses(Sequence sequence, int most, StepBatch batch)
    {
        Draft draft = sequence.Draft!;
        int tokens = sequence.TokenCount;
        draft.Guess(sequence.Slot, sequence.Tokens, Math.Min(most, Math.Min(Math.Min(sequence.MaxTokens, sequence.Allowed) - sequence.Emitted, _limits.ContextLength - tokens) - 1));

        // Past a stop token there is nothing to sample.
        int stop = draft.Tokens.IndexOfAny(sequence.StopTokens);
        draft.Shorten(stop < 0 ? most : stop);

        // Guesses take blocks only when those who must go on need none of them.
        while (tokens + draft.Tokens.Length > sequence.Blocks.Count * KvCache.BlockPositions && _blocks.Available > _running.Count && _blocks.TryTake(out int block))
        {
            sequence.Blocks.Add(block);
            _operations.Append(sequence.Slot, [block]);
        }

        draft.Shorten(Math.Max(0, (sequence.Blocks.Count * KvCache.BlockPositions) - tokens));
        for (int i = 0; i < draft.Tokens.Length; i++)
        {
            batch.Add(draft.Tokens[i], tokens + i, sequence.Slot, wantsLogits: true);
        }
    }

    /// <summary>
    /// Sees to it that the next position has a block. When none is left, another gives up its blocks and waits to be computed again; that may be the sequence itself.
    /// </summary>
    private bool TryGrow(Sequence sequence)
    {
        while (sequence.Planned >= sequence.Blocks.Count * KvCache.BlockPositions)
        {
            if (_blocks.TryTake(out int block))
            {
                sequence.Blocks.Add(block);
                _operations.Append(sequence.Slot, [block]);
                continue;
            }

            Sequence victim = VictimFor(sequence);
            if (victim == sequence && _running.Count == 1)
            {
                End(sequence, Lamina.Cluster.Messages.GenerationOutcome.Length, "");
                return false;
            }

            Preempt(victim);
            if (victim == sequence)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>
    /// Gives the step's prompt rows to the lanes in deficit round robin, and in a lane to its sequences in order. A lane that is alone gets all of them.
    /// </summary>
    private void PlanPrefill(StepBatch batch, List<Sequence> sampling, int rows)
    {
        if (_limits.WholeTexts)
        {
            PlanWholeTexts(batch, sampling, Math.Min(rows, PipelinedChunk()));
            return;
        }

        rows = Math.Min(Math.Min(rows, PipelinedChunk()), batch.MaxRows - batch.RowCount);
        _lanes.ClearWants();
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            sequence.Granted = 0;
            sequence.Lane.Wants |= sequence.WantsPrompt;
        }

        while (rows > 0 && _lanes.Next() is { } lane)
        {
            rows -= Grant(lane, rows);
        }

        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Granted > 0)
            {
                AddRows(sequence, sequence.Granted, batch, sampling);
            }
        }
    }

    /// <summary>Texts that no step may divide: the first that fits, and more as long as they stay within <paramref name="rows"/>.</summary>
    private void PlanWholeTexts(StepBatch batch, List<Sequence> sampling, int rows)
    {
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            int most = batch.RowCount == 0 ? batch.MaxRows : Math.Min(rows, batch.MaxRows) - batch.RowCount;
            if (sequence.Pending > 0 && sequence.Pending <= most)
            {
                AddRows(sequence, sequence.Pending, batch, sampling);
            }
        }
    }

    /// <summary>Rows for a lane's turn; the lane wants no more once all its prompts are provided for.</summary>
    private int Grant(Lane lane, int rows)
    {
        int granted = 0;
        int turn = (int)Math.Min(rows, lane.Balance);
        lane.Wants = false;
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Lane == lane && sequence.WantsPrompt)
            {
                int chunk = Math.Min(turn - granted, sequence.Pending - sequence.Granted);
                sequence.Granted += chunk;
                granted += chunk;
                lane.Wants |= sequence.Granted < sequence.Pending;
            }
        }

        _lanes.Charge(lane, granted);
        return granted;
    }

    /// <summary>Rows of a chunk so small that the prompts at hand give every stage something to do, yet large enough that reading the weights pays.</summary>
    private int PipelinedChunk()
    {
        if (_limits.Stages == 1)
        {
            return int.MaxValue;
        }

        long pending = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            pending += _running[i].Pending > 1 ? _running[i].Pending : 0;
        }

        long chunk = (pending + (2 * _limits.Stages) - 1) / (2 * _limits.Stages);
        return (int)((chunk + KvCache.BlockPositions - 1) / KvCache.BlockPositions * KvCache.BlockPositions);
    }

    private void AddRows(Sequence sequence, int count, StepBatch batch, List<Sequence> sampling)
    {
        for (int i = 0; i < count; i++)
        {
            bool last = sequence.Planned == sequence.TokenCount - 1;
            batch.Add(sequence.Tokens[sequence.Planned], sequence.Planned, sequence.Slot, last && !sequence.Pool, sequence.Pool);
            sequence.Planned++;
            if (last)
            {
                sequence.InFlight = true;
                sequence.SampledIn = _steps + 1;
                sampling.Add(sequence);
            }
        }

        OfferFullBlocks(sequence);
    }

    private void OfferFullBlocks(Sequence sequence)
    {
        while (_cache is not null && (sequence.Offered + 1) * KvCache.BlockPositions <= sequence.Planned)
        {
            int index = sequence.Offered;
            int parent = index == 0 ? -1 : sequence.Blocks[index - 1];
            sequence.Offered = _cache.Offer(sequence.Blocks[index], parent, sequence.Tokens.Slice(index * KvCache.BlockPositions, KvCache.BlockPositions), sequence.CacheRoot)
                ? index + 1
                : int.MaxValue / KvCache.BlockPositions - 1;
        }
    }
}
