using Lamina.Cluster.Messages;
using Lamina.Compute.Grammar;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;
using Lamina.Compute.Tokenization;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Histories and samplers of the sequences open at the tail. A history is what the head opened it with (prompt and tokens emitted before) and what was sampled since;
/// it is zeroed when the slot is released.
/// </summary>
internal sealed class TailSampler(int maxSequences, int contextLength, ModelShape shape, Tokenizer? tokenizer) : IDisposable
{
    private const long MaxGrammarBytes = 32 << 20;

    private readonly PickedRow _largest = new(shape.VocabularySize);
    private readonly Sequence[] _sequences = new Sequence[maxSequences];
    private readonly GrammarCache _grammars = new(MaxGrammarBytes);

    public void Open(int slot, ReadOnlySpan<int> tokens, ReadOnlySpan<byte> settings)
    {
        TailSettings wanted = SamplingWire.Read(settings);
        SamplingParameters parameters = wanted.Sampling.ToParameters();
        ref Sequence sequence = ref _sequences[slot];
        sequence.Settings = wanted;
        sequence.Length = tokens.Length;
        if (wanted.Pool)
        {
            // The rows alone count; nothing is chosen, so no history is needed.
            sequence.Pooler = new TextPooler(shape.Pooling, shape.EmbeddingLength);
            return;
        }

        int promptTokens = wanted.PromptTokens;
        if (parameters.Grammar is { } grammar)
        {
            // A grammar may take long to compile: other sequences do not wait for it.
            sequence.Preparing = Task.Run(() => Prepare(grammar, parameters, promptTokens));
        }
        else
        {
            sequence.Sampler = Create(parameters, promptTokens, null);
        }

        if (sequence.History is null || sequence.History.Length < tokens.Length + 1)
        {
            Array.Clear(sequence.History ?? []);
            sequence.History = UnmovedArray.New<int>(Math.Min(contextLength + 1, Math.Max(256, tokens.Length * 2)));
        }

        tokens.CopyTo(sequence.History);
        sequence.LogProbs = wanted.EmittedLogProbs is { } logProbs ? [.. logProbs] : null;
    }

    private TokenSampler? Prepare(GrammarSource grammar, SamplingParameters parameters, int promptTokens)
    {
        try
        {
            return Create(parameters, promptTokens, _grammars.Get(grammar));
        }
        catch (GrammarException)
        {
            // The coordinator compiles grammars before it submits; one that fails here ends its own generation and no other.
            return null;
        }
    }

    private TokenSampler? Create(SamplingParameters parameters, int promptTokens, CompiledGrammar? grammar)
    {
        try
        {
            return new TokenSampler(parameters, shape.VocabularySize, tokenizer, promptTokens, grammar);
        }
        catch (Exception e) when (e is GrammarException or ArgumentException)
        {
            return null;
        }
    }

    public void Release(int slot)
    {
        ref Sequence sequence = ref _sequences[slot];
        if (sequence.Pooler is { } pooler)
        {
            pooler.Clear();
            sequence.Pooler = null;
        }
        else
        {
            Array.Clear(sequence.History!, 0, sequence.Length);
        }

        sequence.Sampler = null;
        sequence.Preparing = null;
        sequence.LogProbs = null;
        sequence.Settings = null;
        sequence.Length = 0;
    }

    /// <summary>
    /// Samples one token for each logit row. A logit row that directly follows another of its sequence is a guess: it counts only when its token is the one just sampled.
    /// Throws <see cref="InvalidDataException"/> when any other row is not the next position of its sequence. An embedding row is pooled; the last of its text gives the
    /// embedding.
    /// </summary>
    public void Sample(Stage stage, StepBatch batch, SampledTokens sampled)
    {
        ReadOnlySpan<int> rows = batch.LogitRows;
        TakePrepared(batch);
        bool picked = rows.Length > 0 && LogitsNeeded(batch) is > 0 and int most && stage.TryPickLargest(most, _largest.Found);
        int pooled = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            Pool(stage, batch, ref pooled, rows[i], sampled);
            int slot = batch.Slots[rows[i]];
            ref Sequence sequence = ref _sequences[slot];
            if (i > 0 && batch.Slots[rows[i - 1]] == slot && !sequence.EndsWith(batch.Tokens[rows[i]], batch.Positions[rows[i]]))
            {
                continue;
            }

            if (sequence.Settings is not { Pool: false } settings || sequence.Length != batch.Positions[rows[i]] + 1)
            {
                throw new InvalidDataException($"a token was asked for after position {batch.Positions[rows[i]]} of slot {slot}, which has {sequence.Length} tokens");
            }

            if (sequence.Preparing is not null)
            {
                sampled.Add(slot, SampledToken.NotReady, 0, 0);
                continue;
            }

            if (sequence.Sampler is not { } sampler)
            {
                sampled.Add(slot, SampledToken.GrammarExhausted, 0, 0);
                continue;
            }

            int topCount = settings.Sampling.TopLogProbs;
            ReadOnlySpan<int> barred = sequence.Length - settings.PromptTokens < settings.MinTokens ? settings.StopTokens : [];
            try
            {
                TokenLogProb chosen = sampler.Sample(
                    picked ? _largest.Spread(i) : stage.Logits(i),
                    sequence.History.AsSpan(0, sequence.Length),
                    sampled.ReserveTop(topCount),
                    sequence.EmittedLogProbs(),
                    barred,
                    picked ? _largest.Found.LogNormaliser(i) : null);
                sampled.Add(slot, chosen.Id, chosen.LogProb, topCount);
                sequence.Add(chosen.Id);
                sequence.LogProbs?.Add(chosen.LogProb);
            }
            catch (GrammarException)
            {
                sampled.Add(slot, SampledToken.GrammarExhausted, 0, 0);
            }
            catch (InvalidDataException)
            {
                sampled.Add(slot, SampledToken.NoFiniteLogit, 0, 0);
            }
        }

        Pool(stage, batch, ref pooled, batch.RowCount, sampled);
    }

    /// <summary>Takes the samplers that have become ready; once for all rows, as what they need of the logits is decided for all.</summary>
    private void TakePrepared(StepBatch batch)
    {
        foreach (int row in batch.LogitRows)
        {
            ref Sequence sequence = ref _sequences[batch.Slots[row]];
            if (sequence.Preparing is { IsCompleted: true } prepared)
            {
                (sequence.Sampler, sequence.Preparing) = (prepared.GetAwaiter().GetResult(), null);
            }
        }
    }

    /// <summary>The most that any logit row needs of its logits, or 0 when one needs all.</summary>
    private int LogitsNeeded(StepBatch batch)
    {
        int most = 0;
        foreach (int row in batch.LogitRows)
        {
            // A guess that holds lengthens the history by one.
            ref Sequence sequence = ref _sequences[batch.Slots[row]];
            int needed = sequence.Sampler?.LogitsNeeded(sequence.Length + batch.LogitRowCount, sequence.Settings?.StopTokens.Length ?? 0) ?? 1;
            if (needed == 0)
            {
                return 0;
            }

            most = Math.Max(most, needed);
        }

        return most;
    }

    /// <summary>Pools the embedding rows before a row, so that results come in the order of the rows.</summary>
    private void Pool(Stage stage, StepBatch batch, ref int next, int before, SampledTokens sampled)
    {
        ReadOnlySpan<int> rows = batch.EmbeddingRows;
        for (; next < rows.Length && rows[next] < before; next++)
        {
            int slot = batch.Slots[rows[next]], position = batch.Positions[rows[next]];
            ref Sequence sequence = ref _sequences[slot];
            if (sequence.Pooler is not { } pooler || pooler.Count != position || position >= sequence.Length)
            {
                throw new InvalidDataException($"an embedding was asked for at position {position} of slot {slot}, which has {sequence.Length} tokens and {sequence.Pooler?.Count ?? 0} rows");
            }

            pooler.Add(stage.Embedding(next));
            if (pooler.Count == sequence.Length)
            {
                pooler.Finish(sampled.ReserveValues(shape.EmbeddingLength));
                sampled.Add(slot, SampledToken.Embedded, 0, 0, shape.EmbeddingLength);
            }
        }
    }

    public void Dispose()
    {
        _largest.Clear();
        _largest.Found.Clear();
        foreach (ref Sequence sequence in _sequences.AsSpan())
        {
            Array.Clear(sequence.History ?? []);
            sequence.Pooler?.Clear();
            sequence = default;
        }
    }

    private struct Sequence
    {
        public TokenSampler? Sampler;
        public TextPooler? Pooler;

        /// <summary>The sampler to come; null once it is there.</summary>
        public Task<TokenSampler?>? Preparing;
        public TailSettings? Settings;
        public int[]? History;
        public int Length;

        /// <summary>Of the answer's tokens; null without mirostat.</summary>
        public List<float>? LogProbs;

        public readonly ReadOnlySpan<float> EmittedLogProbs() => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(LogProbs);

        public readonly bool EndsWith(int token, int position) => Length == position + 1 && History![position] == token;

        public void Add(int token)
        {
            if (Length == History!.Length)
            {
                int[] grown = UnmovedArray.New<int>(Length * 2);
                History.CopyTo(grown, 0);
                Array.Clear(History);
                History = grown;
            }

            History[Length++] = token;
        }
    }
}
