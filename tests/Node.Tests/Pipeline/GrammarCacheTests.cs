using Lamina.Compute.Grammar;
using Lamina.Node.Pipeline;

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

    [Fact]
    public void Get_OfWhatCannotBeCompiled_ThrowsAndKeepsNothing()
    {
        var cache = new GrammarCache(1 << 20);
        Assert.Throws<GrammarException>(() => cache.Get(new GrammarSource(GrammarKind.Regex, "(a")));
        Assert.Equal(0, cache.Count);
    }
}
