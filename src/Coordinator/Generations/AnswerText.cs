using Lamina.Compute.Sampling;
using Lamina.Compute.Tokenization;

namespace Lamina.Coordinator.Generations;

/// <summary>A token of an answer with its log-probabilities and the place of its text in the answer.</summary>
public sealed record AnswerToken(int Id, float LogProb, IReadOnlyList<TokenLogProb> Top, int TextStart, int TextEnd);

/// <summary>A piece of an answer that is final: text, and the tokens that have become visible with it when they were asked for.</summary>
public readonly record struct AnswerPiece(string Text, IReadOnlyList<AnswerToken> Tokens)
{
    public bool IsEmpty => Text.Length == 0 && Tokens.Count == 0;
}

/// <summary>Turns one answer's tokens into text: whole characters only, ended before the first stop string.</summary>
/// <param name="shown">Control tokens that show, because whoever reads the text needs them; null = none.</param>
public sealed class AnswerText(Tokenizer tokenizer, IReadOnlyList<string> stops, IReadOnlySet<int>? shown = null)
{
    private readonly IncrementalDetokenizer _detokenizer = new(tokenizer, shown: shown);
    private readonly StopMatcher _matcher = new(stops);
    private readonly Queue<AnswerToken> _hidden = new();
    private readonly Queue<int> _ends = new();
    private int _decoded;
    private int _released;

    /// <summary>True once a stop string was found.</summary>
    public bool Stopped => _matcher.Stopped;

    /// <summary>Tokens whose text is out whole.</summary>
    public int Shown { get; private set; }

    /// <summary>Takes the next token. Its log-probabilities are kept only when given.</summary>
    public AnswerPiece Append(int id, float? logProb, IReadOnlyList<TokenLogProb> top)
    {
        if (Stopped)
        {
            return new AnswerPiece("", []);
        }

        string text = _detokenizer.Append(id);
        int start = _decoded;
        _decoded += text.Length;
        _ends.Enqueue(_decoded);
        if (logProb is float value)
        {
            _hidden.Enqueue(new AnswerToken(id, value, top, start, _decoded));
        }

        return Release(_matcher.Append(text));
    }

    /// <summary>At the end of the answer: what was held back.</summary>
    public AnswerPiece Flush()
    {
        string rest = _matcher.Append(_detokenizer.Flush()) + (Stopped ? "" : _matcher.Flush());
        _released += rest.Length;
        AnswerPiece piece = new(rest, Stopped ? [] : [.. _hidden]);
        _hidden.Clear();
        return piece;
    }

    private AnswerPiece Release(string text)
    {
        _released += text.Length;
        while (_ends.TryPeek(out int end) && end <= _released)
        {
            _ends.Dequeue();
            Shown++;
        }

        if (_hidden.Count == 0)
        {
            return new AnswerPiece(text, []);
        }

        // A token shows once its text does; one that a stop string cut into shows with what is left of it.
        var tokens = new List<AnswerToken>();
        while (_hidden.TryPeek(out AnswerToken? token) && (Stopped ? token.TextStart < _released : token.TextEnd <= _released))
        {
            tokens.Add(_hidden.Dequeue());
        }

        if (Stopped)
        {
            _hidden.Clear();
        }

        return new AnswerPiece(text, tokens);
    }
}
