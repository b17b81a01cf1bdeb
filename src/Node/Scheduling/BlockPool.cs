using Lamina.Compute.Model;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Scheduling;

/// <summary>
/// Who holds which key/value block. A block is free (zeroed, or about to be by an operation already written), held by one or more sequences, or kept by the prefix cache with
/// no holder, in which case it is zeroed and given away when nothing else is free. Operations written here reach every stage before the rows that need them
/// and after all rows planned earlier, so a block may change hands while steps that use it are still under way.
/// </summary>
internal sealed class BlockPool
{
    private readonly OperationBuffer _operations;
    private readonly PrefixCache? _cache;
    private readonly int[] _holders;
    private readonly Stack<int> _free;

    public BlockPool(int blocks, OperationBuffer operations, PrefixCache? cache)
    {
        _operations = operations;
        _cache = cache;
        _holders = new int[blocks];
        _free = new Stack<int>(blocks);
        for (int block = blocks - 1; block >= 0; block--)
        {
            _free.Push(block);
        }
    }

    public int Count => _holders.Length;

    /// <summary>Blocks that a new sequence can get: the free ones and those that only the prefix cache keeps.</summary>
    public int Available => _free.Count + (_cache?.IdleCount ?? 0);

    public int Holders(int block) => _holders[block];

    public static int BlocksFor(int positions) => (positions + KvCache.BlockPositions - 1) / KvCache.BlockPositions;

    /// <summary>A zeroed block, or false when all are held.</summary>
    public bool TryTake(out int block)
    {
        if (!_free.TryPop(out block))
        {
            if (_cache is null || !_cache.TryEvict(out block))
            {
                return false;
            }

            _operations.ClearBlocks([block]);
        }

        _holders[block] = 1;
        return true;
    }

    /// <summary>One more sequence holds a block that the prefix cache found.</summary>
    public void Share(int block)
    {
        if (_holders[block]++ == 0)
        {
            _cache!.Use(block);
        }
    }

    /// <summary>Gives the blocks of a table back, the last first, so that the cache evicts a chain from its end.</summary>
    public void Return(List<int> blocks)
    {
        for (int i = blocks.Count - 1; i >= 0; i--)
        {
            int block = blocks[i];
            if (--_holders[block] == 0 && (_cache is null || !_cache.TryKeep(block)))
            {
                _operations.ClearBlocks([block]);
                _free.Push(block);
            }
        }

        blocks.Clear();
    }
}
