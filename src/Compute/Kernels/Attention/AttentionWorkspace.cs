namespace Lamina.Compute.Kernels.Attention;

/// <summary>Rows of one sequence that stand together in a batch and are worked on by one thread at a time.</summary>
internal readonly record struct RowTile(int FirstRow, int Rows, int Slot);

/// <summary>Memory that attention reuses from step to step: the tiles of the current batch and a scratch area for every worker.</summary>
internal sealed unsafe class AttentionWorkspace : IDisposable
{
    private readonly NativeBuffer _scratch;
    private readonly int _workerFloats;
    private readonly RowTile[] _tiles;
    private readonly Func<int, nint> _blockTable;

    /// <param name="maxValueLength">Longest value head of any layer.</param>
    /// <param name="blockTable">Address of a slot's block table.</param>
    public AttentionWorkspace(int workers, int maxRows, int maxValueLength, Func<int, nint> blockTable)
    {
        _workerFloats = AttentionUnit.WorkspaceFloats(maxValueLength);
        _scratch = new NativeBuffer((long)workers * _workerFloats * sizeof(float));
        _tiles = new RowTile[maxRows];
        _blockTable = blockTable;
    }

    public int TileCount { get; private set; }

    public RowTile Tile(int index) => _tiles[index];

    public int* BlockTable(int slot) => (int*)_blockTable(slot);

    public float* Scratch(int worker) => (float*)_scratch.Pointer + ((long)worker * _workerFloats);

    /// <summary>Cuts the batch into tiles of at most <paramref name="rowsPerTile"/> rows, each of one sequence.</summary>
    public void Cut(ReadOnlySpan<int> slots, int rowsPerTile)
    {
        TileCount = 0;
        for (int row = 0; row < slots.Length;)
        {
            int rows = 1;
            while (rows < rowsPerTile && row + rows < slots.Length && slots[row + rows] == slots[row])
            {
                rows++;
            }

            _tiles[TileCount++] = new RowTile(row, rows, slots[row]);
            row += rows;
        }
    }

    public void Dispose() => _scratch.Dispose();
}
