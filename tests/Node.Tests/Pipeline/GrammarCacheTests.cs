using System.Runtime.CompilerServices;
using Lamina.Compute.Grammar;
using Lamina.Node.Pipeline;
using Lamina.TestSupport;

namespace Lamina.Node.Tests.Pipeline;

public class GrammarCacheTests
{
    [Fact]
    public void Get_AgainAndBeyondTheBound_KeepsThoseUsedLast()
    {
        GrammarSource[] sources = [.. Enumerable.Range(0, 8).Select(i => new GrammarSource(GrammarKind.Regex, $"a{i}"))];
        long each = new GrammarSource(GrammarKind.Regex, "a0").Compile().Bytes + 4;
        var cache = new GrammarCache(each * 3);
        CompiledGrammar first = cache.Get(sources[0]);
        foreach (GrammarSource source in sources[1..])
        {
            cache.Get(source);
            Assert.Same(first, cache.Get(sources[0]));
        }

        Assert.InRange(cache.Count, 2, 3);
    }

    /// <summary>Each schema is another: the cache holds what its bound allows, and what it forgot is collected.</summary>
    [Trait("Attack", "C5")]
    [Fact]
    public void Get_ThousandsOfDistinctSchemas_HoldsNoMoreThanItsBound()
    {
        const long Bound = 2 << 20;
        int cases = AttackScale.Cases(2_000, 100_000);
        var cache = new GrammarCache(Bound);
        List<WeakReference> compiled = new(cases);
        long least = long.MaxValue;
        for (int i = 0; i < cases; i++)
        {
            least = Math.Min(least, Compile(cache, i, compiled));
            Assert.InRange(cache.Count, 1, Bound / least);
        }

        Assert.InRange(cases, 2 * (Bound / least), int.MaxValue);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();

        // The last one may still lie in a register.
        Assert.InRange(compiled.Count(grammar => grammar.IsAlive), 1, cache.Count + 1);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Compile(GrammarCache cache, int number, List<WeakReference> compiled)
    {
        string schema = $$$"""{"type":"object","properties":{"p{{{number}}}":{"const":{{{number}}} } },"required":["p{{{number}}}"]}""";
        CompiledGrammar grammar = cache.Get(new GrammarSource(GrammarKind.JsonSchema, schema));
        compiled.Add(new WeakReference(grammar));
        return (schema.Length * 2L) + grammar.Bytes;
    }

    [Fact]
    public void Get_OfWhatCannotBeCompiled_ThrowsAndKeepsNothing()
    {
        var cache = new GrammarCache(1 << 20);
        Assert.Throws<GrammarException>(() => cache.Get(new GrammarSource(GrammarKind.Regex, "(a")));
        Assert.Equal(0, cache.Count);
    }
}
