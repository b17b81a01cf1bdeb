using Lamina.Compute.Model;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Scheduling;

internal sealed partial class Scheduler
{
    /// <summary>With more, a step's rows cost more than what guesses save.</summary>
    private const int MaxGuessingSequences = 4;

    private const int MaxGuessingRows = 16;

    /// <summary>
    /// Fills <paramref name="step"/> with the next micro-batch: one row for each sequence that waits for a token, then prompts in chunks. False when there is nothing to do until a
    /// step completes or a generation is submitted. A step may hold operations alone, so that freed blocks are zeroed at once.
    /// </summary>
    /// <param name="prefillRows">Most prompt rows to take in.</param>
    public bool TryPlan(Step step, int prefillRows)
    {
        step.Clear();
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

    private void Admit()
    {
        for (int i = 0; i < _waiting.Count && _freeSlots.Count > 0;)
        {
            Sequence next = _waiting[i];
            if (!TryFindShared(next, out int positions, out int copied))
            {
                // It waits a step or two for the one that computes its prompt; others need not wait with it.
                i++;
                continue;
            }

            // A preempted sequence whose last token is still under way cannot be reopened: its history would lack it.
            if (next.InFlight || !TryGiveBlocks(next, positions, copied))
            {
                return;
            }

            _waiting.Remove(next);
            next.State = SequenceState.Running;
            next.Slot = _freeSlots.Pop();
            _running.Add(next);
            _operations.Open(next.Slot, next.Tokens, next.Settings);
            _operations.Append(next.Slot, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(next.Blocks));
        }
    }

    /// <summary>Blocks for all known tokens and the next one: those found are shared, the rest new; the first new one begins as a copy unless <paramref name="copied"/> is -1.</summary>
    /// <param name="positions">Positions that need not be computed.</param>
    private bool TryGiveBlocks(Sequence sequence, int positions, int copied)
    {
        int idle = 0;
        foreach (int block in _found)
        {
            idle += _blocks.Holders(block) == 0 ? 1 : 0;
        }

        int wanted = BlockPool.BlocksFor(Math.Min(sequence.TokenCount + 1, _limits.ContextLength)) - _found.Count;

        // Each running sequence may soon need one more block; without that reserve, admission and preemption would chase each other.
        if (_blocks.Available - idle < wanted + Math.Min(_running.Count, _blocks.Count - wanted - _found.Count))
        {
            return false;
        }

        foreach (int block in _found)
        {
            _blocks.Share(block);
            sequence.Blocks.Add(block);
        }

        for (int i = 0; i < wanted && _blocks.TryTake(out int block); i++)
        {
            sequence.Blocks.Add(block);
        }

        if (copied >= 0)
        {
            // Every row planned so far reaches each stage before this, every row of the copy's owner after.
            _operations.CopyBlock(copied, sequence.Blocks[_found.Count]);
        }

        sequence.Planned = positions;
        sequence.Offered = 0;
        sequence.CachedPromptTokens ??= Math.Min(sequence.Planned, sequence.PromptLength);
        return true;
    }

    private void PlanDecoding(StepBatch batch, List<Sequence> sampling)
    {
        Decoding = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            Decoding += _running[i].Pending <= 1 && !_running[i].Pool ? 1 : 0;
        }

        if (_limits.WholeTexts)
        {
            return;
        }

        // So many that every stage has a micro-batch to work on.
        int share = (Decoding + _limits.Stages - 1) / _limits.Stages;
        int guesses = MaxGuesses(share);
        for (int i = 0; i < _running.Count && sampling.Count < share; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Pending == 1 && !sequence.Pool && TryGrow(sequence))
            {
                AddRows(sequence, 1, batch, sampling);
                if (guesses > 0 && sequence.Draft is not null)
                {
                    AddGuesses(sequence, guesses, batch);
                }
            }
        }
    }

    /// <summary>Guesses each of so many decoding sequences may add: as long as reading the weights takes longer than a few more rows, and no prompt fills the step anyway.</summary>
    private int MaxGuesses(int sequences)
    {
        if (_limits.DraftTokens == 0 || sequences is 0 or > MaxGuessingSequences || Decoding < _running.Count)
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
        draft.Guess(sequence.Tokens, Math.Min(most, Math.Min(sequence.MaxTokens - sequence.Emitted, _limits.ContextLength - tokens) - 1));

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
    /// Sees to it that the next position has a block. When none is left, the last in order gives up its blocks and waits to be computed again; that may be the sequence itself.
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

            Sequence victim = _running[_running.Count - 1];
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

    private void Preempt(Sequence sequence)
    {
        Withdraw(sequence);
        sequence.State = SequenceState.Waiting;
        _waiting.Add(sequence);
        Preemptions++;
    }

    private void PlanPrefill(StepBatch batch, List<Sequence> sampling, int rows)
    {
        if (_limits.WholeTexts)
        {
            PlanWholeTexts(batch, sampling, Math.Min(rows, PipelinedChunk()));
            return;
        }

        rows = Math.Min(Math.Min(rows, PipelinedChunk()), batch.MaxRows - batch.RowCount);
        for (int i = 0; i < _running.Count && rows > 0; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Pending > (sequence.Pool ? 0 : 1))
            {
                int chunk = Math.Min(rows, sequence.Pending);
                AddRows(sequence, chunk, batch, sampling);
                rows -= chunk;
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
            sequence.Offered = _cache.Offer(sequence.Blocks[index], parent, sequence.Tokens.Slice(index * KvCache.BlockPositions, KvCache.BlockPositions))
                ? index + 1
                : int.MaxValue / KvCache.BlockPositions - 1;
        }
    }
}
