using System.Buffers;
using Lamina.Coordinator.Api.Listening;

namespace Lamina.Coordinator.Tests.Api.Listening;

/// <summary>Blocks of the web server are all zero whoever had them before.</summary>
public sealed class ClearedMemoryPoolTests
{
    [Fact]
    public void Rent_ABlockThatWasGivenBack_IsZero()
    {
        using MemoryPool<byte> pool = new ClearedMemoryPool.Factory().Create();
        IMemoryOwner<byte> first = pool.Rent();
        Memory<byte> block = first.Memory;
        block.Span.Fill(0xA5);
        first.Dispose();
        Assert.False(block.Span.ContainsAnyExcept((byte)0));

        using IMemoryOwner<byte> second = pool.Rent(1);
        Assert.Equal(4096, second.Memory.Length);
        Assert.False(second.Memory.Span.ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Rent_WhileOthersAreLent_GivesEachItsOwn()
    {
        using MemoryPool<byte> pool = new ClearedMemoryPool.Factory().Create();
        using IMemoryOwner<byte> one = pool.Rent(), other = pool.Rent();
        one.Memory.Span.Fill(1);
        Assert.False(other.Memory.Span.ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Rent_MoreThanABlock_IsRefused()
    {
        using MemoryPool<byte> pool = new ClearedMemoryPool.Factory().Create();
        Assert.Throws<ArgumentOutOfRangeException>(() => pool.Rent(pool.MaxBufferSize + 1));
    }
}
