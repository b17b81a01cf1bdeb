using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Scheduling;

internal sealed partial class Scheduler
{
    /// <summary>
    /// Takes what the tail chose in the oldest step under way. Throws <see cref="InvalidDataException"/> when it does not answer that step: another number, other slots
    /// than were asked for, tokens that do not exist.
    /// </summary>
    public void Complete(int step, SampledTokens sampled)
    {
        if (!_inFlight.TryDequeue(out StepInFlight? inFlight) || inFlight.Number != step)
        {
            throw new InvalidDataException($"tokens of step {step} came, {(inFlight is null ? "no step is under way" : $"those of step {inFlight.Number} were awaited")}");
        }

        int next = 0;
        foreach (Sequence sequence in inFlight.Sampling)
        {
            next = Complete(step, sequence, sampled, next);
        }

        if (next != sampled.Count)
        {
            throw new InvalidDataException($"step {step} brought {sampled.Count} tokens, {next} were awaited");
        }

        inFlight.Sampling.Clear();
        _spare.Push(inFlight);
    }

    /// <summary>A sequence's tokens begin at <paramref name="first"/>: one, and one more for each guess that was right. Returns where those of the next begin.</summary>
    private int Complete(int step, Sequence sequence, SampledTokens sampled, int first)
    {
        ReadOnlySpan<int> draft = sequence.Draft is null ? [] : sequence.Draft.Tokens;
        int accepted = 0;
        while (Checked(step, sequence, sampled, first + accepted) is var token && accepted < draft.Length && token == draft[accepted])
        {
            accepted++;
        }

        Guesses += draft.Length;
        RightGuesses += accepted;
        sequence.InFlight = false;
        sequence.Draft?.Observe(accepted);
        if (sequence.State == SequenceState.Running)
        {
            // Cache positions of the guesses that were wrong are written again by the rows to come.
            sequence.Planned += accepted;
        }

        if (sampled[first].Token == SampledToken.NotReady)
        {
            // The same row again: it writes the same keys and values.
            sequence.Planned -= sequence.State == SequenceState.Running ? 1 : 0;
            return first + 1;
        }

        for (int i = first; i <= first + accepted && sequence.State != SequenceState.Ended; i++)
        {
            Accept(sequence, sampled[i].Token, sampled[i].LogProb, i);
        }

        return first + accepted + 1;
    }

    private int Checked(int step, Sequence sequence, SampledTokens sampled, int index)
    {
        if (index >= sampled.Count)
        {
            throw new InvalidDataException($"step {step} brought {sampled.Count} tokens, more were awaited");
        }

        SampledToken token = sampled[index];
        bool fits = token.Token == SampledToken.Embedded ? sequence.Pool && token.ValueCount == _limits.EmbeddingLength
            : !sequence.Pool && (token.Token >= SampledToken.GrammarExhausted || token.Token == SampledToken.NotReady) && token.Token < _limits.VocabularySize;
        return fits && (sequence.Slot < 0 || token.Slot == sequence.Slot)
            ? token.Token
            : throw new InvalidDataException($"step {step} brought token {token.Token} for slot {token.Slot}, awaited was one below {_limits.VocabularySize} for slot {sequence.Slot}");
    }

    private void Accept(Sequence sequence, int token, float logProb, int sampledIndex)
    {
        if (token == SampledToken.NoFiniteLogit)
        {
            End(sequence, GenerationOutcome.Failed, "no token could be chosen: the model gave no finite logit");
            return;
        }

        if (token == SampledToken.GrammarExhausted)
        {
            End(sequence, GenerationOutcome.GrammarExhausted, $"the grammar leaves no token of the vocabulary after {sequence.Emitted} tokens of the answer");
            return;
        }

        if (token == SampledToken.Embedded)
        {
            _events.Add(SchedulerEvent.Embedding(sequence, sampledIndex));
            End(sequence, GenerationOutcome.Stop, "");
            return;
        }

        if (Array.IndexOf(sequence.StopTokens, token) >= 0)
        {
            End(sequence, GenerationOutcome.Stop, "");
            return;
        }

        sequence.Add(token, logProb);
        _events.Add(SchedulerEvent.Token(sequence, sampledIndex));
        if (sequence.Emitted >= sequence.MaxTokens || sequence.TokenCount >= _limits.ContextLength)
        {
            End(sequence, GenerationOutcome.Length, "");
        }
    }
}
