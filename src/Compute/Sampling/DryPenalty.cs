using System.Text;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Sampling;

/// <summary>
/// Lowers tokens that would prolong a repeat: where the last n tokens stood before, the token that followed them then loses multiplier · base^(n − allowed length).
/// Linear in the window by the Z algorithm. Owns its workspace, which grows with the history.
/// </summary>
internal sealed class DryPenalty
{
    private readonly SamplingParameters _parameters;
    private readonly bool[] _breaks;
    private readonly int[] _longest;
    private int[] _z = [];

    public DryPenalty(SamplingParameters parameters, int vocabularySize, Tokenizer? tokenizer)
    {
        if (tokenizer is null && parameters.DryBreakers.Count > 0)
        {
            throw new ArgumentException("DRY needs the tokenizer to know which tokens hold its breakers.", nameof(tokenizer));
        }

        _parameters = parameters;
        _longest = new int[vocabularySize];
        _breaks = new bool[vocabularySize];
        byte[][] breakers = [.. parameters.DryBreakers.Select(Encoding.UTF8.GetBytes)];
        for (int id = 0; id < vocabularySize && tokenizer is not null && id < tokenizer.VocabularySize; id++)
        {
            ReadOnlySpan<byte> text = tokenizer.Bytes(id, special: true);
            foreach (byte[] breaker in breakers)
            {
                _breaks[id] |= text.IndexOf(breaker) >= 0;
            }
        }
    }

    public void Apply(Candidates candidates, ReadOnlySpan<int> history)
    {
        int window = _parameters.DryWindow;
        ReadOnlySpan<int> recent = window < 0 || window > history.Length ? history : history[^window..];
        int limit = RunWithoutBreaker(recent);
        if (limit < _parameters.DryAllowedLength)
        {
            return;
        }

        ReadOnlySpan<int> z = SuffixMatches(recent);
        for (int back = 1; back < recent.Length; back++)
        {
            int next = recent[^back];
            if ((uint)next < (uint)_longest.Length)
            {
                _longest[next] = Math.Max(_longest[next], Math.Min(z[back], limit));
            }
        }

        for (int back = 1; back < recent.Length; back++)
        {
            int next = recent[^back];
            if ((uint)next < (uint)_longest.Length && _longest[next] > 0)
            {
                Lower(candidates, next, _longest[next]);
                _longest[next] = 0;
            }
        }
    }

    private void Lower(Candidates candidates, int id, int length)
    {
        int index = length >= _parameters.DryAllowedLength ? candidates.IndexOf(id) : -1;
        if (index >= 0)
        {
            double penalty = _parameters.DryMultiplier * Math.Pow(_parameters.DryBase, length - _parameters.DryAllowedLength);
            candidates.SetLogit(index, (float)Math.Max(candidates.Logits[index] - penalty, float.MinValue));
        }
    }

    private int RunWithoutBreaker(ReadOnlySpan<int> tokens)
    {
        int run = 0;
        while (run < tokens.Length && (uint)tokens[^(run + 1)] < (uint)_breaks.Length && !_breaks[tokens[^(run + 1)]])
        {
            run++;
        }

        return run;
    }

    /// <summary>z[b] = how many tokens before the last b tokens equal the end of the sequence, read backwards (Z function of the reversed sequence).</summary>
    private ReadOnlySpan<int> SuffixMatches(ReadOnlySpan<int> tokens)
    {
        int n = tokens.Length;
        if (_z.Length < n)
        {
            _z = new int[Math.Max(n, 2 * _z.Length)];
        }

        Span<int> z = _z.AsSpan(0, n);
        z[0] = n;
        int left = 0, right = 0;
        for (int i = 1; i < n; i++)
        {
            int match = i < right ? Math.Min(right - i, z[i - left]) : 0;
            while (i + match < n && tokens[n - 1 - match] == tokens[n - 1 - i - match])
            {
                match++;
            }

            z[i] = match;
            if (i + match > right)
            {
                (left, right) = (i, i + match);
            }
        }

        return z;
    }
}
