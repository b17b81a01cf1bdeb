using Lamina.Cluster.Messages;
using Lamina.Compute.Model;

namespace Lamina.Node.Pipeline;

/// <summary>
/// A stage's own account of its slots: which are open, how many blocks each holds. Received operations and rows are checked against it and the plan before they
/// reach the cache, so that a peer's mistake ends the stage with a sentence and touches no memory.
/// </summary>
internal sealed class SequenceTable(StageSettings settings, int vocabularySize)
{
    private readonly int[] _blocks = new int[settings.MaxSequences];
    private readonly bool[] _open = new bool[settings.MaxSequences];

    public void Release(int slot)
    {
        CheckSlot(slot, mustBeOpen: true);
        _open[slot] = false;
        _blocks[slot] = 0;
    }

    public void Open(int slot, ReadOnlySpan<int> tokens)
    {
        CheckSlot(slot, mustBeOpen: false);
        if (tokens.IsEmpty || tokens.Length > settings.ContextLength)
        {
            throw new InvalidDataException($"sequence of {tokens.Length} tokens, the plan allows 1 to {settings.ContextLength}");
        }

        foreach (int token in tokens)
        {
            CheckToken(token);
        }

        _open[slot] = true;
    }

    public void Append(int slot, ReadOnlySpan<int> blocks)
    {
        CheckSlot(slot, mustBeOpen: true);
        CheckBlocks(blocks);
        _blocks[slot] += blocks.Length;
        if (_blocks[slot] > (settings.ContextLength + KvCache.BlockPositions - 1) / KvCache.BlockPositions)
        {
            throw new InvalidDataException($"slot {slot} was given {_blocks[slot]} blocks, more than the context of {settings.ContextLength} positions needs");
        }
    }

    public void CheckOpen(int slot) => CheckSlot(slot, mustBeOpen: true);

    public void CheckBlocks(ReadOnlySpan<int> blocks)
    {
        foreach (int block in blocks)
        {
            CheckBlock(block);
        }
    }

    public void CheckBlock(int block)
    {
        if ((uint)block >= (uint)settings.KvBlocks)
        {
            throw new InvalidDataException($"block {block}, the plan has {settings.KvBlocks}");
        }
    }

    public void CheckRows(StepBatch batch)
    {
        ReadOnlySpan<int> slots = batch.Slots;
        ReadOnlySpan<int> positions = batch.Positions;
        for (int row = 0; row < slots.Length; row++)
        {
            int slot = slots[row];
            CheckSlot(slot, mustBeOpen: true);
            CheckToken(batch.Tokens[row]);
            if (positions[row] < 0 || positions[row] >= settings.ContextLength || positions[row] >= _blocks[slot] * KvCache.BlockPositions)
            {
                throw new InvalidDataException($"row at position {positions[row]} of slot {slot}, which holds {_blocks[slot]} blocks in a context of {settings.ContextLength}");
            }

            if (row > 0 && slots[row - 1] == slot && positions[row] != positions[row - 1] + 1)
            {
                throw new InvalidDataException($"slot {slot}: position {positions[row]} follows {positions[row - 1]}");
            }
        }
    }

    private void CheckToken(int token)
    {
        if ((uint)token >= (uint)vocabularySize)
        {
            throw new InvalidDataException($"token {token}, the vocabulary has {vocabularySize}");
        }
    }

    private void CheckSlot(int slot, bool mustBeOpen)
    {
        if ((uint)slot >= (uint)_open.Length)
        {
            throw new InvalidDataException($"slot {slot}, the plan has {_open.Length}");
        }

        if (_open[slot] != mustBeOpen)
        {
            throw new InvalidDataException(mustBeOpen ? $"slot {slot} is not open" : $"slot {slot} is open already");
        }
    }
}
