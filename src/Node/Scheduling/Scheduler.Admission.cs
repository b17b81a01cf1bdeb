using System.Runtime.InteropServices;
using Lamina.Compute.Model;

namespace Lamina.Node.Scheduling;

internal sealed partial class Scheduler
{
    private long _admissions;

    /// <summary>
    /// Lets waiting sequences run. Of the highest priority that waits, the lane goes first that has the fewest running sequences for its weight. A lane that has none running
    /// is entitled to one: where another has two or more and too much for its share, that one's last sequence makes room. So a lane waits for a place no longer than a step
    /// while there are no more lanes than places. Whatever its lane, a sequence takes the place of one that is paused or of lower priority, which waits and goes on later.
    /// </summary>
    private void Admit()
    {
        if (Waiting == 0)
        {
            return;
        }

        for (int i = 0; i < _lanes.Count; i++)
        {
            _lanes[i].Candidate = 0;
        }

        // Once someone's turn fails for want of blocks, only those who have nothing may pass: else small ones would keep a large one waiting for ever.
        bool scarce = false;
        while (NextLane(scarce || _freeSlots.Count == 0) is { } lane)
        {
            Sequence next = lane.Waiting[lane.Candidate];
            Admission admission = TryAdmit(next);
            if (admission == Admission.Later)
            {
                // It waits a step or two for the one that computes its prompt; others need not wait with it.
                lane.Candidate++;
            }
            else if (admission == Admission.NoRoom)
            {
                lane.Candidate = int.MaxValue;
                scarce = true;
            }
        }
    }

    private enum Admission { Done, Later, NoRoom }

    private Lane? NextLane(bool onlyEntitled)
    {
        Lane? best = null;
        for (int i = 0; i < _lanes.Count; i++)
        {
            Lane lane = _lanes[i];
            if (lane.Candidate < lane.Waiting.Count && (lane.Running == 0 || !onlyEntitled || Yielding(lane.Waiting[lane.Candidate]) is not null) && (best is null || GoesBefore(lane, best)))
            {
                best = lane;
            }
        }

        return best;
    }

    private static bool GoesBefore(Lane lane, Lane other)
    {
        int priority = lane.Waiting[lane.Candidate].Priority.CompareTo(other.Waiting[other.Candidate].Priority);
        long share = ((long)lane.Running * other.Weight) - ((long)other.Running * lane.Weight);
        return priority != 0 ? priority > 0 : share != 0 ? share < 0 : lane.LastAdmitted < other.LastAdmitted;
    }

    private Admission TryAdmit(Sequence next)
    {
        while (true)
        {
            if (!TryFindShared(next, out int positions, out int copied))
            {
                return Admission.Later;
            }

            if (next.IsPaused)
            {
                return Admission.Later;
            }

            // A preempted sequence whose last token is still under way cannot be reopened: its history would lack it.
            if (next.InFlight)
            {
                return Admission.NoRoom;
            }

            if (next.TokenCount > _blocks.Count * KvCache.BlockPositions)
            {
                // It had filled the whole cache when it gave way, so it would have ended with the token that it has got since.
                End(next, Lamina.Cluster.Messages.GenerationOutcome.Length, "");
                return Admission.Done;
            }

            if (_freeSlots.Count > 0 && TryGiveBlocks(next, positions, copied))
            {
                Start(next);
                return Admission.Done;
            }

            // What was found to share may go with the victim, so the search begins anew.
            Sequence? victim = Yielding(next) ?? (next.Lane.Running > 0 ? null : RoomFor(next));
            if (victim is null)
            {
                return Admission.NoRoom;
            }

            Preempt(victim);
        }
    }

    private void Start(Sequence next)
    {
        next.Lane.Waiting.Remove(next);
        next.Lane.Running++;
        next.Lane.LastAdmitted = ++_admissions;
        next.State = SequenceState.Running;
        next.Slot = _freeSlots.Pop();
        _running.Add(next);
        if (!next.HasStarted)
        {
            next.HasStarted = true;
            Started.Add(next);
        }

        next.RefreshSettings();
        _operations.Open(next.Slot, next.Tokens, next.Settings);
        _operations.Adapt(next.Slot, next.Adapters);
        _operations.Append(next.Slot, CollectionsMarshal.AsSpan(next.Blocks));
    }

    /// <summary>Who gives its place up at once: the last that is paused, or of lower priority, if all of those together can make room; else none is disturbed.</summary>
    private Sequence? Yielding(Sequence next)
    {
        Sequence? paused = null;
        Sequence? lower = null;
        int held = 0;
        int others = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence running = _running[i];
            if (!running.IsPaused && running.Priority >= next.Priority)
            {
                others++;
                continue;
            }

            held += running.Blocks.Count;
            (paused, lower) = running.IsPaused ? (running, lower) : (paused, running);
        }

        return BlocksFor(next) + others <= _blocks.Available + held ? paused ?? lower : null;
    }

    /// <summary>The sequence that makes room for the first of a lane, or null when none must.</summary>
    private Sequence? RoomFor(Sequence next)
    {
        CountHeldBlocks();
        bool fits = BlocksFor(next) <= FairBlocks(next.Lane);
        return _freeSlots.Count == 0 ? LastOfLargestLane(next, byBlocks: false)
            : fits ? LastOfLargestLane(next, byBlocks: true)
            : null;
    }

    /// <summary>Who gives up its blocks so that a running sequence can go on: one that is paused, else one of lower priority, else the last of a lane that has more than its share, else the last of all.</summary>
    private Sequence VictimFor(Sequence growing)
    {
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            if (_running[i].IsPaused && !_running[i].InFlight)
            {
                return _running[i];
            }
        }

        Sequence last = _running[_running.Count - 1];
        if (last.Priority < growing.Priority && last.SampledIn != _steps + 1)
        {
            return last;
        }

        CountHeldBlocks();
        return LastOfLargestLane(growing, byBlocks: true) ?? _running[_running.Count - 1];
    }

    /// <summary>Of the lanes with two or more running sequences, and more blocks than their share, the one with the most for its weight; of that its last, unless it goes before whom it should make room for.</summary>
    private Sequence? LastOfLargestLane(Sequence one, bool byBlocks)
    {
        Lane? largest = null;
        for (int i = 0; i < _lanes.Count; i++)
        {
            Lane lane = _lanes[i];
            bool isTooLarge = lane.Running > 1 && (!byBlocks || lane.HeldBlocks > FairBlocks(lane));
            if (isTooLarge && (largest is null || Size(lane, byBlocks) * largest.Weight > Size(largest, byBlocks) * lane.Weight))
            {
                largest = lane;
            }
        }

        for (int i = _running.Count - 1; i >= 0 && largest is not null; i--)
        {
            // One whose row is in the step being planned already must keep its slot until that step is through.
            if (_running[i].Lane == largest && _running[i].SampledIn != _steps + 1)
            {
                return _running[i].Priority <= one.Priority ? _running[i] : null;
            }
        }

        return null;
    }

    private static long Size(Lane lane, bool byBlocks) => byBlocks ? lane.HeldBlocks : lane.Running;

    /// <summary>Blocks for all known tokens and, if there are so many, the next one.</summary>
    private int BlocksFor(Sequence sequence) => Math.Min(BlockPool.BlocksFor(Math.Min(sequence.TokenCount + 1, _limits.ContextLength)), _blocks.Count);

    private long FairBlocks(Lane lane) => _blocks.Count * lane.Weight / _lanes.TotalWeight;

    private void CountHeldBlocks()
    {
        for (int i = 0; i < _lanes.Count; i++)
        {
            _lanes[i].HeldBlocks = 0;
        }

        for (int i = 0; i < _running.Count; i++)
        {
            _running[i].Lane.HeldBlocks += _running[i].Blocks.Count;
        }
    }

    private void Preempt(Sequence sequence)
    {
        Withdraw(sequence);
        sequence.State = SequenceState.Waiting;
        sequence.Lane.Waiting.Add(sequence);
        Preemptions++;
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

        int wanted = BlocksFor(sequence) - _found.Count;

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
}
