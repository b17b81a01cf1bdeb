using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Model;

/// <summary>
/// A stage's key/value cache: per layer a pool of blocks of <see cref="BlockPositions"/> positions, and per sequence slot the table
/// of its blocks. Which block belongs to whom is decided by the head's scheduler and followed identically by every stage.
/// </summary>
public sealed unsafe class KvCache : IDisposable
{
    /// <summary>Positions per block.</summary>
    public const int BlockPositions = KvLayout.BlockPositions;

    private readonly KvLayout[] _layouts;
    private readonly IKernels _kernels;
    private readonly IBuffer[] _pools;

    /// <summary>The tables as the device sees them; null where it sees the host's.</summary>
    private readonly IBuffer? _deviceTables;
    private bool _tablesChanged = true;

    /// <summary>[slots × blocks per sequence], on the pinned heap: kernels read it by address.</summary>
    private readonly int[] _tables;

    /// <summary>Blocks in each slot's table.</summary>
    private readonly int[] _lengths;
    private readonly int _tableLength;

    internal KvCache(ModelShape shape, LayerRange layers, StageOptions options, IKernels kernels)
    {
        _kernels = kernels;
        BlockCount = options.KvBlocks;
        _tableLength = BlocksPerSequence(options);
        _lengths = new int[options.MaxSequences];
        _tables = GC.AllocateArray<int>(checked(options.MaxSequences * _tableLength), pinned: true);
        _layouts = [.. Enumerable.Range(layers.First, layers.Count).Select(layer => shape.KvLayout(layer, options.KvType))];
        _pools = new IBuffer[layers.Count];
        try
        {
            for (int i = 0; i < _pools.Length; i++)
            {
                _pools[i] = kernels.Allocate(checked(_layouts[i].BlockBytes * BlockCount));
            }

            if (!kernels.SharesHostMemory)
            {
                _deviceTables = kernels.Allocate((long)_tables.Length * sizeof(int));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int BlockCount { get; }

    /// <summary>Bytes of all blocks.</summary>
    public long MemoryBytes => _pools.Sum(pool => pool.Bytes);

    /// <summary>Bytes that the cache of a stage will take.</summary>
    public static long RequiredBytes(ModelShape shape, LayerRange layers, StageOptions options)
    {
        long bytes = 0;
        for (int layer = layers.First; layer < layers.End; layer++)
        {
            bytes = checked(bytes + (shape.KvBlockBytes(layer, options.KvType) * options.KvBlocks));
        }

        return bytes;
    }

    /// <summary>Appends blocks to a slot's table.</summary>
    public void Append(int slot, ReadOnlySpan<int> blocks)
    {
        int length = _lengths[slot];
        if (blocks.Length > _tableLength - length)
        {
            throw new ArgumentException($"slot {slot} would hold {length + blocks.Length} blocks, at most {_tableLength} fit the context", nameof(blocks));
        }

        foreach (int block in blocks)
        {
            CheckBlock(block);
        }

        blocks.CopyTo(_tables.AsSpan((slot * _tableLength) + length));
        _lengths[slot] = length + blocks.Length;
        _tablesChanged = true;
    }

    /// <summary>Empties a slot's table; the blocks' contents stay until cleared.</summary>
    public void Release(int slot) => _lengths[slot] = 0;

    /// <summary>Zeroes blocks in every layer: their content belonged to a finished sequence.</summary>
    public void ClearBlocks(ReadOnlySpan<int> blocks)
    {
        foreach (int block in blocks)
        {
            CheckBlock(block);
            for (int layer = 0; layer < _pools.Length; layer++)
            {
                _kernels.Clear(Block(layer, block), _layouts[layer].BlockBytes);
            }
        }
    }

    /// <summary>Copies a block in every layer (copy-on-write of a shared prefix).</summary>
    public void CopyBlock(int source, int destination)
    {
        CheckBlock(source);
        CheckBlock(destination);
        for (int layer = 0; layer < _pools.Length; layer++)
        {
            _kernels.CopyBytes(Block(layer, source), Block(layer, destination), _layouts[layer].BlockBytes);
        }
    }

    public void Dispose()
    {
        foreach (IBuffer? pool in _pools)
        {
            pool?.Dispose();
        }

        _deviceTables?.Dispose();
    }

    /// <summary>Positions that the blocks of a slot can hold.</summary>
    internal int Capacity(int slot) => _lengths[slot] * BlockPositions;

    internal int Slots => _lengths.Length;

    /// <summary>Blocks of the stage's <paramref name="layer"/>-th layer.</summary>
    internal byte* Pool(int layer) => _pools[layer].Pointer;

    internal KvLayout Layout(int layer) => _layouts[layer];

    /// <summary>Blocks in a slot's table at most.</summary>
    internal int TableLength => _tableLength;

    /// <summary>All tables, [slots × <see cref="TableLength"/>], as the device sees them.</summary>
    internal int* Tables => _deviceTables is null ? Table(0) : (int*)_deviceTables.Pointer;

    /// <summary>Brings tables that changed to a device that does not see the host's.</summary>
    internal void UploadTables()
    {
        if (_deviceTables is not null && _tablesChanged)
        {
            _kernels.Upload(_tables, (int*)_deviceTables.Pointer);
            _tablesChanged = false;
        }
    }

    internal int* Table(int slot) => (int*)Marshal.UnsafeAddrOfPinnedArrayElement(_tables, slot * _tableLength);

    private static int BlocksPerSequence(StageOptions options) => (int)(((long)options.ContextLength + BlockPositions - 1) / BlockPositions);

    private byte* Block(int layer, int block) => _pools[layer].Pointer + (block * _layouts[layer].BlockBytes);

    private void CheckBlock(int block)
    {
        if ((uint)block >= (uint)BlockCount)
        {
            throw new ArgumentOutOfRangeException(nameof(block), $"block {block} does not exist, the cache has {BlockCount}");
        }
    }
}
