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

        if (sampled.Count != inFlight.Sampling.Count)
        {
            throw new InvalidDataException($"step {step} brought {sampled.Count} tokens, {inFlight.Sampling.Count} were awaited");
        }

        for (int i = 0; i < sampled.Count; i++)
        {
            Sequence sequence = inFlight.Sampling[i];
            SampledToken token = sampled[i];
            if (token.Token < SampledToken.NoFiniteLogit || token.Token >= _limits.VocabularySize || (sequence.Slot >= 0 && token.Slot != sequence.Slot))
            {
                throw new InvalidDataException($"step {step} brought token {token.Token} for slot {token.Slot}, awaited was one below {_limits.VocabularySize} for slot {sequence.Slot}");
            }

            sequence.InFlight = false;
            if (sequence.State != SequenceState.Ended)
            {
                Accept(sequence, token.Token, i);
            }
        }

        inFlight.Sampling.Clear();
        _spare.Push(inFlight);
    }

    private void Accept(Sequence sequence, int token, int sampledIndex)
    {
        if (token == SampledToken.NoFiniteLogit)
        {
            End(sequence, GenerationOutcome.Failed, "no token could be chosen: the model gave no finite logit, or the grammar leaves none");
            return;
        }

        if (Array.IndexOf(sequence.StopTokens, token) >= 0)
        {
            End(sequence, GenerationOutcome.Stop, "");
            return;
        }

        sequence.Add(token);
        _events.Add(SchedulerEvent.Token(sequence, sampledIndex));
        if (sequence.Emitted >= sequence.MaxTokens || sequence.TokenCount >= _limits.ContextLength)
        {
            End(sequence, GenerationOutcome.Length, "");
        }
    }
}
