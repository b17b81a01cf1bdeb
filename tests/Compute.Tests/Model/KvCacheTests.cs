using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed unsafe class KvCacheTests : IDisposable
{
    private static readonly StageOptions Options = new() { ContextLength = 80, KvBlocks = 6, MaxSequences = 2 };
    private readonly ModelShape _shape = ModelShape.FromGguf(RandomModel.Llama(3).Build());
    private readonly WorkerTeam _team = new(1);
    private readonly KvCache _cache;

    public KvCacheTests() => _cache = new KvCache(_shape, new LayerRange(1, 3), Options, CpuKernels.For(_team));

    [Trait("Attack", "E4")]
    [Fact]
    public void New_Cache_IsZeroAndAsLargeAsEstimated()
    {
        Assert.Equal(KvCache.RequiredBytes(_shape, new LayerRange(1, 3), Options), _cache.MemoryBytes);
        Assert.Equal(2 * 6 * _shape.KvBlockBytes(0, GgmlType.F16), _cache.MemoryBytes);
        for (int block = 0; block < 6; block++)
        {
            Assert.True(Block(1, block).IndexOfAnyExcept((byte)0) < 0);
        }
    }

    [Fact]
    public void Append_BeyondTheContext_IsRefused()
    {
        _cache.Append(0, [4, 2]);
        Assert.Equal(64, _cache.Capacity(0));
        Assert.Equal((4, 2), (_cache.Table(0)[0], _cache.Table(0)[1]));

        // 80 positions take three blocks.
        Assert.Throws<ArgumentException>(() => _cache.Append(0, [1, 3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => _cache.Append(0, [6]));
        Assert.Throws<ArgumentOutOfRangeException>(() => _cache.Append(0, [-1]));
        _cache.Append(0, [1]);
        _cache.Release(0);
        Assert.Equal(0, _cache.Capacity(0));
    }

    [Trait("Attack", "E4")]
    [Fact]
    public void CopyBlock_AndClearBlocks_ReachEveryLayer()
    {
        for (int layer = 0; layer < 2; layer++)
        {
            Block(layer, 3).Fill((byte)(layer + 1));
        }

        _cache.CopyBlock(3, 5);
        _cache.ClearBlocks([3]);
        for (int layer = 0; layer < 2; layer++)
        {
            Assert.True(Block(layer, 3).IndexOfAnyExcept((byte)0) < 0);
            Assert.True(Block(layer, 5).IndexOfAnyExcept((byte)(layer + 1)) < 0);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => _cache.CopyBlock(0, 6));
        Assert.Throws<ArgumentOutOfRangeException>(() => _cache.ClearBlocks([7]));
    }

    [Fact]
    public void Pools_StartOnCacheLines()
    {
        Assert.Equal(0, (nint)_cache.Pool(0) % 64);
        Assert.Equal(0, _shape.KvBlockBytes(0, GgmlType.Q8_0) % 64);
    }

    public void Dispose()
    {
        _cache.Dispose();
        _team.Dispose();
    }

    private Span<byte> Block(int layer, int block)
    {
        int bytes = (int)_cache.Layout(layer).BlockBytes;
        return new Span<byte>(_cache.Pool(layer) + (block * bytes), bytes);
    }
}
