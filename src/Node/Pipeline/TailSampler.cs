using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Histories and samplers of the sequences open at the tail. A history is what the head opened it with (prompt and tokens emitted before) and what was sampled since;
/// it is zeroed when the slot is released.
/// </summary>
internal sealed class TailSampler(int maxSequences, int contextLength, int vocabularySize) : IDisposable
{
    private readonly Sequence[] _sequences = new Sequence[maxSequences];

    public void Open(int slot, ReadOnlySpan<int> tokens, ReadOnlySpan<byte> settings)
    {
        SamplingParameters parameters = SamplingWire.Read(settings);
        ref Sequence sequence = ref _sequences[slot];
        sequence.Parameters = parameters;
        sequence.Sampler = new TokenSampler(parameters, vocabularySize);
        if (sequence.History is null || sequence.History.Length < tokens.Length + 1)
        {
            sequence.History = new int[Math.Min(contextLength + 1, Math.Max(256, tokens.Length * 2))];
        }

        tokens.CopyTo(sequence.History);
        sequence.Length = tokens.Length;
    }

    public void Release(int slot)
    {
        ref Sequence sequence = ref _sequences[slot];
        Array.Clear(sequence.History!, 0, sequence.Length);
        sequence.Sampler = null;
        sequence.Length = 0;
    }

    /// <summary>Samples one token for each logit row. Throws <see cref="InvalidDataException"/> when a row is not the next position of its sequence.</summary>
    public void Sample(Stage stage, StepBatch batch, SampledTokens sampled)
    {
        ReadOnlySpan<int> rows = batch.LogitRows;
        for (int i = 0; i < rows.Length; i++)
        {
            int slot = batch.Slots[rows[i]];
            ref Sequence sequence = ref _sequences[slot];
            if (sequence.Sampler is not { } sampler || sequence.Length != batch.Positions[rows[i]] + 1)
            {
                throw new InvalidDataException($"a token was asked for after position {batch.Positions[rows[i]]} of slot {slot}, which has {sequence.Length} tokens");
            }

            int topCount = sequence.Parameters!.TopLogProbs;
            try
            {
                TokenLogProb chosen = sampler.Sample(stage.Logits(i), sequence.History.AsSpan(0, sequence.Length), sampled.ReserveTop(topCount));
                sampled.Add(slot, chosen.Id, chosen.LogProb, topCount);
                sequence.Add(chosen.Id);
            }
            catch (InvalidDataException)
            {
                sampled.Add(slot, SampledToken.NoFiniteLogit, 0, 0);
            }
        }
    }

    public void Dispose()
    {
        foreach (ref Sequence sequence in _sequences.AsSpan())
        {
            Array.Clear(sequence.History ?? []);
            sequence = default;
        }
    }

    private struct Sequence
    {
        public TokenSampler? Sampler;
        public SamplingParameters? Parameters;
        public int[]? History;
        public int Length;

        public void Add(int token)
        {
            if (Length == History!.Length)
            {
                int[] grown = new int[Length * 2];
                History.CopyTo(grown, 0);
                Array.Clear(History);
                History = grown;
            }

            History[Length++] = token;
        }
    }
}
