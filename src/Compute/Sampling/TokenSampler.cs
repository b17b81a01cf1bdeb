using Lamina.Compute.Grammar;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Sampling;

/// <summary>A token with the natural logarithm of its probability; minus infinity means probability zero, NaN that it was not asked for.</summary>
public readonly record struct TokenLogProb(int Id, float LogProb);

/// <summary>
/// Chooses tokens for one sequence. A pure function of (logits, history, parameters, position): no hidden state, so a
/// generation resumed elsewhere goes on as if nothing had happened. Reuses its workspace; no allocation per token.
/// </summary>
public sealed class TokenSampler
{
    private const uint TokenStream = 0;
    private const uint ExclusionStream = 1;

    private readonly SamplingParameters _parameters;
    private readonly int _vocabularySize;
    private readonly SamplingStep[] _order;
    private readonly (int Id, float Bias)[] _bias;
    private readonly Candidates? _candidates;
    private readonly Penalties? _penalties;
    private readonly DryPenalty? _dry;
    private readonly TokenLogProb[] _mirostatWorkspace;
    private readonly bool _wantsLogProbs;
    private readonly TokenConstraint? _constraint;
    private readonly int _promptTokens;
    private readonly bool _firstIsTopK;

    /// <summary>Throws <see cref="GrammarException"/> when the grammar cannot be used.</summary>
    /// <param name="tokenizer">Needed by DRY, to find the tokens that hold its breakers, and by grammars.</param>
    /// <param name="promptTokens">Where in the history the answer begins, which a grammar is about.</param>
    /// <param name="compiled">The parameters' grammar, where it was compiled before.</param>
    public TokenSampler(SamplingParameters parameters, int vocabularySize, Tokenizer? tokenizer = null, int promptTokens = 0, CompiledGrammar? compiled = null)
    {
        if (parameters.Validate() is [string problem, ..])
        {
            throw new ArgumentException(problem, nameof(parameters));
        }

        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vocabularySize);
        if (parameters.LogitBias.Keys.FirstOrDefault(id => id >= vocabularySize, -1) is >= 0 and int unknown)
        {
            throw new ArgumentException($"LogitBias names token {unknown}; the vocabulary has {vocabularySize} tokens.", nameof(parameters));
        }

        _parameters = parameters;
        _vocabularySize = vocabularySize;
        _order = [.. parameters.Order];
        _bias = [.. parameters.LogitBias.OrderBy(pair => pair.Key).Select(pair => (pair.Key, pair.Value))];
        _penalties = Penalties.AreActive(parameters) && _order.Contains(SamplingStep.Penalties) ? new Penalties(vocabularySize) : null;
        _dry = parameters.DryMultiplier > 0 && _order.Contains(SamplingStep.Dry) ? new DryPenalty(parameters, vocabularySize, tokenizer) : null;
        _candidates = parameters.Temperature > 0 || _bias.Length > 0 || _penalties is not null || _dry is not null ? new Candidates(vocabularySize) : null;
        _firstIsTopK = FirstIsTopK();
        _mirostatWorkspace = parameters.Mirostat == 1 ? Mirostat.Workspace() : [];
        _promptTokens = promptTokens;
        if (parameters.Grammar is { } grammar)
        {
            ArgumentNullException.ThrowIfNull(tokenizer);
            _constraint = new TokenConstraint(compiled ?? grammar.Compile(), tokenizer);
        }

        _wantsLogProbs = parameters.LogProbs || parameters.TopLogProbs > 0 || parameters.Mirostat > 0;
    }

    /// <summary>How many of the largest logits decide the next token, so that the others need not be known; 0 = all must be.</summary>
    /// <param name="barred">How many tokens are barred.</param>
    public int LogitsNeeded(int historyLength, int barred = 0)
    {
        if (_constraint is not null || (_candidates is not null && !_firstIsTopK))
        {
            return 0;
        }

        int chosen = _candidates is null ? 1 : (int)Math.Min(int.MaxValue / 2, (long)_parameters.TopK + Penalised(historyLength));
        return Math.Max(chosen + barred, _parameters.TopLogProbs);
    }

    /// <summary>
    /// Chooses the next token. <paramref name="logits"/> [vocabulary] is overwritten. Only finite logits count (NaN and infinities are minus infinity); when
    /// there is none, throws <see cref="InvalidDataException"/>; when there is none that the grammar allows, <see cref="GrammarException"/>.
    /// </summary>
    /// <param name="history">Prompt and emitted tokens, oldest first; the new token's position is its length.</param>
    /// <param name="top">Receives the most likely tokens, best first; its length is <see cref="SamplingParameters.TopLogProbs"/>.</param>
    /// <param name="emittedLogProbs">Log-probabilities of the emitted tokens as returned here, oldest first; only mirostat reads them.</param>
    /// <param name="barred">Tokens that must not be chosen; log-probabilities do not show it.</param>
    /// <param name="logNormaliser">ln of the sum of e^logit over the vocabulary, where <paramref name="logits"/> holds only the largest and minus infinity elsewhere.</param>
    public TokenLogProb Sample(Span<float> logits, ReadOnlySpan<int> history, Span<TokenLogProb> top, ReadOnlySpan<float> emittedLogProbs = default, ReadOnlySpan<int> barred = default, float? logNormaliser = null)
    {
        if (logits.Length != _vocabularySize || top.Length != _parameters.TopLogProbs)
        {
            throw new ArgumentException($"expected {_vocabularySize} logits and room for {_parameters.TopLogProbs} tokens, got {logits.Length} and {top.Length}");
        }

        float max = Softmax.Sanitize(logits);
        if (max == float.NegativeInfinity)
        {
            throw new InvalidDataException($"the model gave no finite logit at position {history.Length}");
        }

        double logNormalizer = double.NaN;
        if (_wantsLogProbs)
        {
            logNormalizer = logNormaliser ?? max + Math.Log(Softmax.Exponentiate(logits, max, default));
            TopTokens.Find(logits, logNormalizer, top);
        }

        if (!barred.IsEmpty)
        {
            max = Bar(logits, barred);
        }

        if (_constraint is not null)
        {
            max = Constrain(_constraint, logits, history[_promptTokens..]);
        }

        int id = _candidates is null ? Softmax.IndexOf(logits, max) : ChooseAmong(_candidates, logits, history, emittedLogProbs);
        return new TokenLogProb(id, (float)(logits[id] - logNormalizer));
    }

    private static float Bar(Span<float> logits, ReadOnlySpan<int> barred)
    {
        foreach (int id in barred)
        {
            if ((uint)id < (uint)logits.Length)
            {
                logits[id] = float.NegativeInfinity;
            }
        }

        float max = Softmax.Sanitize(logits);
        return max > float.NegativeInfinity ? max : throw new InvalidDataException("no token is left beside those that are barred");
    }

    /// <summary>Rules out what the grammar does not allow and returns the largest logit that is left.</summary>
    private static float Constrain(TokenConstraint constraint, Span<float> logits, ReadOnlySpan<int> emitted)
    {
        constraint.Follow(emitted);
        constraint.ApplyMask(logits);
        float max = Softmax.Sanitize(logits);
        return max > float.NegativeInfinity ? max : throw new GrammarException($"the grammar leaves no token after {emitted.Length} tokens of the answer");
    }

    private int ChooseAmong(Candidates candidates, ReadOnlySpan<float> logits, ReadOnlySpan<int> history, ReadOnlySpan<float> emittedLogProbs)
    {
        if (_firstIsTopK)
        {
            // penalties only lower logits here: the best after them are among so many more before them
            int penalised = Penalised(history.Length);
            candidates.LoadLargest(logits, (int)Math.Min(int.MaxValue, (long)_parameters.TopK + penalised));
        }
        else
        {
            candidates.Load(logits);
        }

        foreach ((int id, float bias) in _bias)
        {
            if (candidates.IndexOf(id) is >= 0 and int index)
            {
                candidates.SetLogit(index, candidates.Logits[index] + bias);
            }
        }

        foreach (SamplingStep step in _order)
        {
            Apply(step, candidates, history);
        }

        if (_parameters.Temperature == 0)
        {
            candidates.Weigh();
            return candidates.Ids[Softmax.IndexOf(candidates.Logits, candidates.Max)];
        }

        if (_parameters.Mirostat > 0)
        {
            double mu = Mirostat.Mu(emittedLogProbs, _parameters);
            if (_parameters.Mirostat == 1)
            {
                Mirostat.KeepZipf(candidates, mu, _vocabularySize, _mirostatWorkspace);
            }
            else
            {
                Mirostat.KeepSurpriseUpTo(candidates, mu);
            }
        }

        return candidates.Draw(CounterRandom.Uniform(_parameters.Seed, history.Length, TokenStream));
    }

    /// <summary>Tokens that penalties can lower.</summary>
    private int Penalised(int historyLength) =>
        _penalties is null ? 0 : _parameters.PenaltyWindow < 0 ? historyLength : Math.Min(_parameters.PenaltyWindow, historyLength);

    private void Apply(SamplingStep step, Candidates candidates, ReadOnlySpan<int> history)
    {
        switch (step)
        {
            case SamplingStep.Penalties:
                _penalties?.Apply(candidates, history, _parameters);
                return;
            case SamplingStep.Dry:
                _dry?.Apply(candidates, history);
                return;
        }

        if (_parameters.Temperature == 0)
        {
            return;
        }

        if (step == SamplingStep.Temperature)
        {
            ApplyTemperature(candidates);
        }
        else if (_parameters.Mirostat == 0)
        {
            Truncate(step, candidates, history.Length);
        }
    }

    /// <summary>Whether top-k is the first step that looks at all tokens, so that most of them need not be taken up.</summary>
    private bool FirstIsTopK()
    {
        if (_parameters.TopK == 0 || _parameters.Mirostat > 0 || _parameters.Temperature == 0 || _bias.Length > 0 || _dry is not null
            || (_penalties is not null && (_parameters.RepetitionPenalty < 1 || _parameters.PresencePenalty < 0 || _parameters.FrequencyPenalty < 0)))
        {
            return false;
        }

        foreach (SamplingStep step in _order)
        {
            bool passesAll = step is SamplingStep.Penalties or SamplingStep.Dry
                || (step == SamplingStep.TopNSigma && _parameters.TopNSigma == 0)
                || (step == SamplingStep.Typical && _parameters.TypicalP >= 1)
                || (step == SamplingStep.TopP && _parameters.TopP >= 1)
                || (step == SamplingStep.MinP && _parameters.MinP == 0)
                || (step == SamplingStep.Xtc && _parameters.XtcProbability == 0)
                || (step == SamplingStep.Temperature && _parameters.DynamicTemperatureRange == 0 && _parameters.Temperature == 1);
            if (!passesAll)
            {
                return step == SamplingStep.TopK;
            }
        }

        return false;
    }

    private void Truncate(SamplingStep step, Candidates candidates, int position)
    {
        switch (step)
        {
            case SamplingStep.TopNSigma:
                Truncation.TopNSigma(candidates, _parameters.TopNSigma);
                break;
            case SamplingStep.TopK:
                Truncation.TopK(candidates, _parameters.TopK);
                break;
            case SamplingStep.Typical:
                Truncation.Typical(candidates, _parameters.TypicalP);
                break;
            case SamplingStep.TopP:
                Truncation.TopP(candidates, _parameters.TopP);
                break;
            case SamplingStep.MinP:
                Truncation.MinP(candidates, _parameters.MinP);
                break;
            case SamplingStep.Xtc when CounterRandom.Uniform(_parameters.Seed, position, ExclusionStream) < _parameters.XtcProbability:
                Truncation.ExcludeTopChoices(candidates, _parameters.XtcThreshold);
                break;
        }
    }

    /// <summary>The dynamic temperature rises with the entropy: from temperature − range for a certain choice to temperature + range for a uniform one.</summary>
    private void ApplyTemperature(Candidates candidates)
    {
        float temperature = _parameters.Temperature;
        float range = _parameters.DynamicTemperatureRange;
        if (range > 0 && candidates.Count > 1)
        {
            double lowest = Math.Max(0, temperature - range), highest = temperature + range;
            double spread = Math.Clamp(candidates.Entropy() / Math.Log(candidates.Count), 0, 1);
            temperature = (float)Math.Max(1e-4, lowest + (highest - lowest) * Math.Pow(spread, _parameters.DynamicTemperatureExponent));
        }

        if (temperature != 1)
        {
            candidates.DivideLogits(temperature);
        }
    }
}
