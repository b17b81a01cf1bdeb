using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Grammar;

/// <summary>
/// Holds one generation to a grammar: which tokens may come next, given those emitted so far. Its state follows from these alone, so that a resumed
/// generation replays them. Not thread-safe.
/// </summary>
public sealed class TokenConstraint
{
    private readonly GrammarAutomaton _automaton;
    private readonly TokenTrie _trie;
    private readonly List<int> _emitted = [];
    private readonly Dictionary<int, ulong[]> _masks = [];
    private readonly int _maskLimit;
    private int _state;

    public TokenConstraint(CompiledGrammar grammar, Tokenizer tokenizer)
    {
        _automaton = new GrammarAutomaton(grammar.Code);
        _trie = TokenTrie.Of(tokenizer, grammar.Marks);
        _maskLimit = Math.Max(1, GrammarLimits.MaskCacheBytes / (_trie.VocabularySize / 8 + 1));
        _state = _automaton.Start;
    }

    /// <summary>Whether the text so far belongs to the grammar.</summary>
    public bool IsComplete => _automaton.IsAccepting(_state);

    /// <summary>Whether anything but the end may come.</summary>
    public bool CanContinue => _automaton.CanContinue(_state);

    /// <summary>
    /// Makes the state that of these emitted tokens, from where it stands when they prolong what it has seen. Throws <see cref="InvalidDataException"/> when the
    /// grammar does not allow them.
    /// </summary>
    public void Follow(ReadOnlySpan<int> emitted)
    {
        int known = _emitted.Count;
        if (emitted.Length < known || !emitted[..known].SequenceEqual(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_emitted)))
        {
            _emitted.Clear();
            _state = _automaton.Start;
            known = 0;
        }

        foreach (int id in emitted[known..])
        {
            Accept(id);
        }
    }

    /// <summary>Takes the next token; the end of the generation leaves the state as it is.</summary>
    public void Accept(int id)
    {
        if (_automaton.StateCount > GrammarLimits.States)
        {
            Forget();
        }

        Advance(id);
        _emitted.Add(id);
    }

    /// <summary>Sets the logits of all tokens that may not come next to minus infinity. <paramref name="logits"/> is [vocabulary].</summary>
    public void ApplyMask(Span<float> logits)
    {
        ulong[] mask = Mask();
        for (int word = 0; word < mask.Length; word++)
        {
            ulong allowed = mask[word];
            Span<float> part = logits.Slice(word * 64, Math.Min(64, logits.Length - word * 64));
            if (allowed == 0)
            {
                part.Fill(float.NegativeInfinity);
            }
            else if (allowed != ulong.MaxValue)
            {
                for (int i = 0; i < part.Length; i++)
                {
                    part[i] = (allowed >> i & 1) != 0 ? part[i] : float.NegativeInfinity;
                }
            }
        }
    }

    private ulong[] Mask()
    {
        if (_masks.TryGetValue(_state, out ulong[]? mask))
        {
            return mask;
        }

        if (_automaton.StateCount > GrammarLimits.States)
        {
            Forget();
        }

        if (_masks.Count >= _maskLimit)
        {
            _masks.Clear();
        }

        mask = new ulong[(_trie.VocabularySize + 63) / 64];
        _trie.Collect(_automaton, _state, mask);
        if (_automaton.IsAccepting(_state))
        {
            foreach (int id in _trie.EndOfGeneration)
            {
                mask[id >> 6] |= 1UL << (id & 63);
            }
        }

        _masks[_state] = mask;
        return mask;
    }

    /// <summary>Bounds memory: drops all states but the current one, and all masks.</summary>
    private void Forget()
    {
        _state = _automaton.Forget(_state);
        _masks.Clear();
    }

    private void Advance(int id)
    {
        if ((uint)id >= (uint)_trie.VocabularySize)
        {
            throw new InvalidDataException($"token {id} is not in the vocabulary of {_trie.VocabularySize} tokens");
        }

        if (_trie.EndOfGeneration.Contains(id))
        {
            return;
        }

        int state = _trie.Texts[id].Length == 0 ? GrammarAutomaton.Dead : _state;
        foreach (byte value in _trie.Texts[id])
        {
            state = _automaton.Next(state, value);
        }

        _state = state != GrammarAutomaton.Dead ? state
            : throw new InvalidDataException($"the grammar does not allow token {id} after {_emitted.Count} tokens");
    }
}
