using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;

namespace Lamina.Coordinator.Api.Listening;

/// <summary>
/// The web server's buffers, pinned blocks of 4 KiB: what a connection received, or was sent, is cleared when it gives its block back, so that no later connection, and no other tenant's, is
/// handed the bytes of an earlier one.
/// </summary>
internal sealed class ClearedMemoryPool : MemoryPool<byte>
{
    private const int BlockBytes = 4096;
    private const int MostKept = 1024;

    private readonly ConcurrentQueue<Block> _free = new();
    private bool _isDisposed;

    /// <summary>Makes the pools of a web server.</summary>
    public sealed class Factory : IMemoryPoolFactory<byte>
    {
        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new ClearedMemoryPool();
    }

    public override int MaxBufferSize => BlockBytes;

    /// <summary>A block of 4 KiB, all zero. Throws <see cref="ArgumentOutOfRangeException"/> for more.</summary>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, BlockBytes);
        return _free.TryDequeue(out Block? block) ? block : new Block(this);
    }

    protected override void Dispose(bool disposing)
    {
        Volatile.Write(ref _isDisposed, true);
        _free.Clear();
    }

    private void Return(Block block)
    {
        CryptographicOperations.ZeroMemory(block.Memory.Span);
        if (!Volatile.Read(ref _isDisposed) && _free.Count < MostKept)
        {
            _free.Enqueue(block);
        }
    }

    private sealed class Block(ClearedMemoryPool pool) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } = MemoryMarshal.CreateFromPinnedArray(GC.AllocateArray<byte>(BlockBytes, pinned: true), 0, BlockBytes);

        public void Dispose() => pool.Return(this);
    }
}
