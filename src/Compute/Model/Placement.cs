using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>Where a batch's rows stand: positions, sequences and cache blocks, the same for all layers, on the device.</summary>
internal sealed unsafe class Placement(int rows, IKernels kernels, Func<IBuffer, IBuffer> own)
{
    private readonly int[] _lastPositions = new int[rows];
    private readonly int[] _blocks = new int[rows];

    /// <summary>[rows].</summary>
    public int* Positions { get; } = (int*)own(kernels.Allocate((long)rows * sizeof(int))).Pointer;

    /// <summary>[rows]: the last position of the row's sequence in the batch.</summary>
    public int* LastPositions { get; } = (int*)own(kernels.Allocate((long)rows * sizeof(int))).Pointer;

    /// <summary>[rows]: the cache block of each row's position.</summary>
    public int* Blocks { get; } = (int*)own(kernels.Allocate((long)rows * sizeof(int))).Pointer;

    /// <summary>[rows]: the sequence of each row.</summary>
    public int* Slots { get; } = (int*)own(kernels.Allocate((long)rows * sizeof(int))).Pointer;

    /// <summary>Largest position of any row's sequence in the batch.</summary>
    public int LastPosition { get; private set; }

    public void Set(StepBatch batch, KvCache cache)
    {
        int count = batch.RowCount;
        LastPosition = 0;
        for (int row = count - 1, last = 0; row >= 0; row--)
        {
            bool endsSequence = row == count - 1 || batch.Slots[row + 1] != batch.Slots[row];
            last = endsSequence ? batch.Positions[row] : last;
            _lastPositions[row] = last;
            _blocks[row] = cache.Table(batch.Slots[row])[batch.Positions[row] / KvCache.BlockPositions];
            LastPosition = Math.Max(LastPosition, last);
        }

        kernels.Upload(batch.Positions, Positions);
        kernels.Upload(_lastPositions.AsSpan(0, count), LastPositions);
        kernels.Upload(_blocks.AsSpan(0, count), Blocks);
        kernels.Upload(batch.Slots, Slots);
        cache.UploadTables();
    }
}
