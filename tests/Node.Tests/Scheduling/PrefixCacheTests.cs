using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Node.Scheduling;

namespace Lamina.Node.Tests.Scheduling;

/// <summary>The cache under keys so short that almost everything collides: a key only finds, the tokens decide.</summary>
public sealed class PrefixCacheTests
{
    private const int Block = KvCache.BlockPositions;

    [Trait("Attack", "E2")]
    [Theory]
    [InlineData(128)]
    [InlineData(8)]
    [InlineData(1)]
    [InlineData(0)]
    public void Find_KeysThatCollide_GivesOnlyBlocksOfTheseTokens(int keyBits)
    {
        const int Chains = 300;
        var cache = new PrefixCache(2 * Chains, keyBits);
        var held = new Dictionary<int, int[]>();
        var parents = new Dictionary<int, int>();
        for (int chain = 0; chain < Chains; chain++)
        {
            int[] tokens = Tokens(chain);
            int first = 2 * chain;
            if (cache.Offer(first, -1, tokens.AsSpan(0, Block)))
            {
                held[first] = tokens[..Block];
                parents[first] = -1;
                if (cache.Offer(first + 1, first, tokens.AsSpan(Block, Block)))
                {
                    held[first + 1] = tokens[Block..];
                    parents[first + 1] = first;
                }
            }
        }

        Assert.NotEmpty(held);
        int found = 0;
        for (int chain = 0; chain < 2 * Chains; chain++)
        {
            int[] tokens = Tokens(chain);
            var blocks = new List<int>();
            cache.Find(tokens, blocks);
            for (int i = 0; i < blocks.Count; i++)
            {
                Assert.Equal(tokens[(i * Block)..((i + 1) * Block)], held[blocks[i]]);
                Assert.Equal(i == 0 ? -1 : blocks[i - 1], parents[blocks[i]]);
                found++;
            }
        }

        Assert.Equal(keyBits == 128 ? 2 * Chains : held.Count, found);
    }

    /// <summary>Nothing in the key is known outside: two processes give the same tokens different keys, and order of use decides nothing.</summary>
    [Trait("Attack", "C8")]
    [Fact]
    public void Find_TokensThatDifferAnywhere_FindsNothing()
    {
        var cache = new PrefixCache(8);
        int[] tokens = Tokens(1);
        Assert.True(cache.Offer(0, -1, tokens.AsSpan(0, Block)));
        for (int i = 0; i < Block; i++)
        {
            int[] other = [.. tokens];
            other[i] ^= 1;
            var blocks = new List<int>();
            cache.Find(other, blocks);
            Assert.Empty(blocks);
        }
    }

    [Fact]
    public void RootOf_LanesAndAdapters_DiffersForEachOfThem()
    {
        var cache = new PrefixCache(8);
        AdapterUse[] adapters = [new AdapterUse(0, 1f)];
        long[] roots = [cache.RootOf([]), cache.RootOf(adapters), cache.RootOf([], 0), cache.RootOf([], 1), cache.RootOf([], 2), cache.RootOf(adapters, 1), cache.RootOf(adapters, 2)];
        Assert.Equal(roots.Length, roots.Distinct().Count());
        Assert.Equal(roots[3], cache.RootOf([], 1));
        Assert.Equal(0, roots[0]);

        // Serials of blocks count up from 1: a root must never be one.
        Assert.All(roots[1..], root => Assert.True(root < 0));

        // A secret of its own: what another process calls the lane says nothing.
        Assert.NotEqual(roots[3], new PrefixCache(8).RootOf([], 1));
    }

    [Trait("Attack", "E4")]
    [Fact]
    public void Clear_BlocksHeldAndIdle_OverwritesTheirTokens()
    {
        var cache = new PrefixCache(8);
        int[] tokens = Tokens(1);
        Assert.True(cache.Offer(0, -1, tokens.AsSpan(0, Block)));
        Assert.True(cache.Offer(1, 0, tokens.AsSpan(Block, Block)));
        Assert.True(cache.TryKeep(1));
        ReadOnlyMemory<int>[] entered = [cache.TokensOf(0), cache.TokensOf(1)];
        Assert.Equal(tokens, entered.SelectMany(block => block.ToArray()));

        cache.Clear();
        Assert.All(entered, kept => Assert.All(kept.ToArray(), token => Assert.Equal(0, token)));
        Assert.Equal(0, cache.IdleCount);
        var blocks = new List<int>();
        cache.Find(tokens, blocks);
        Assert.Empty(blocks);
    }

    [Trait("Attack", "E4")]
    [Fact]
    public void TryEvict_IdleBlock_OverwritesItsTokens()
    {
        var cache = new PrefixCache(8);
        Assert.True(cache.Offer(0, -1, Tokens(1).AsSpan(0, Block)));
        Assert.True(cache.TryKeep(0));
        ReadOnlyMemory<int> entered = cache.TokensOf(0);

        Assert.True(cache.TryEvict(out int block));
        Assert.Equal(0, block);
        Assert.All(entered.ToArray(), token => Assert.Equal(0, token));
    }

    private static int[] Tokens(int chain) => [.. Enumerable.Range(0, 2 * Block).Select(i => (chain * 31) + (i * 7) + (i == 3 ? chain : 0))];
}
