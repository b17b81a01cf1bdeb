namespace Lamina.Compute.Model;

/// <summary>
/// A stage's key/value cache: per layer a pool of blocks of <see cref="BlockPositions"/> positions, and per sequence slot the table
/// of its blocks. Which block belongs to whom is decided by the head's scheduler and followed identically by every stage.
/// </summary>
public sealed class KvCache : IDisposable
{
    /// <summary>Positions per block.</summary>
    public const int BlockPositions = 32;

    public int BlockCount => throw new NotImplementedException();

    /// <summary>Appends blocks to a slot's table.</summary>
    public void Append(int slot, ReadOnlySpan<int> blocks) => throw new NotImplementedException();

    /// <summary>Empties a slot's table; the blocks' contents stay until cleared.</summary>
    public void Release(int slot) => throw new NotImplementedException();

    /// <summary>Zeroes blocks in every layer: their content belonged to a finished sequence.</summary>
    public void ClearBlocks(ReadOnlySpan<int> blocks) => throw new NotImplementedException();

    /// <summary>Copies a block in every layer (copy-on-write of a shared prefix).</summary>
    public void CopyBlock(int source, int destination) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
