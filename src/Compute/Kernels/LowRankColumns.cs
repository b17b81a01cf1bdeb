using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>A tall matrix [rows × rank] as f32, sixteen rows side by side: [group][rank][16], the last group padded with zeros.</summary>
internal sealed unsafe class LowRankColumns : IDisposable
{
    private readonly NativeBuffer _buffer;

    private LowRankColumns(int rows, int rank)
    {
        Rows = rows;
        Rank = rank;
        _buffer = new NativeBuffer(RequiredBytes(rank, rows));
    }

    public int Rows { get; }

    public int Rank { get; }

    public int Groups => (Rows + WeightUnits.GroupRows - 1) / WeightUnits.GroupRows;

    public long Bytes => _buffer.Bytes;

    /// <summary>[rank × 16].</summary>
    public float* Group(int group) => (float*)_buffer.Pointer + ((long)group * Rank * WeightUnits.GroupRows);

    public static long RequiredBytes(int rank, long rows) => checked((rows + WeightUnits.GroupRows - 1) / WeightUnits.GroupRows * WeightUnits.GroupRows * rank * sizeof(float));

    public static LowRankColumns Pack(WorkerTeam team, in WeightPart part, int rank)
    {
        using WeightMatrix matrix = WeightMatrix.Pack(team, part);
        var packed = new LowRankColumns(part.Rows, rank);
        var values = new float[rank];
        for (int row = 0; row < part.Rows; row++)
        {
            matrix.DequantizeRow(row, values);
            float* lane = packed.Group(row / WeightUnits.GroupRows) + (row % WeightUnits.GroupRows);
            for (int r = 0; r < rank; r++)
            {
                lane[r * WeightUnits.GroupRows] = values[r];
            }
        }

        return packed;
    }

    public void Dispose() => _buffer.Dispose();
}
