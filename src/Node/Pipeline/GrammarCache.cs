using Lamina.Compute.Grammar;

namespace Lamina.Node.Pipeline;

/// <summary>Compiled grammars of one stage, those used last within a bound of bytes. Thread-safe; compiles outside its lock.</summary>
internal sealed class GrammarCache(long maxBytes)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<GrammarSource, LinkedListNode<(GrammarSource Source, CompiledGrammar Grammar)>> _bySource = [];
    private readonly LinkedList<(GrammarSource Source, CompiledGrammar Grammar)> _byUse = [];
    private long _bytes;

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _bySource.Count;
            }
        }
    }

    /// <summary>Throws <see cref="GrammarException"/> as <see cref="GrammarSource.Compile"/> does.</summary>
    public CompiledGrammar Get(GrammarSource source)
    {
        lock (_lock)
        {
            if (_bySource.TryGetValue(source, out var known))
            {
                _byUse.Remove(known);
                _byUse.AddFirst(known);
                return known.Value.Grammar;
            }
        }

        CompiledGrammar grammar = source.Compile();
        lock (_lock)
        {
            if (Cost(source, grammar) <= maxBytes && !_bySource.ContainsKey(source))
            {
                _bySource[source] = _byUse.AddFirst((source, grammar));
                _bytes += Cost(source, grammar);
            }

            while (_bytes > maxBytes)
            {
                (GrammarSource oldest, CompiledGrammar forgotten) = _byUse.Last!.Value;
                _byUse.RemoveLast();
                _bySource.Remove(oldest);
                _bytes -= Cost(oldest, forgotten);
            }
        }

        return grammar;
    }

    private static long Cost(GrammarSource source, CompiledGrammar grammar) => (source.Text.Length * 2L) + grammar.Bytes;
}
