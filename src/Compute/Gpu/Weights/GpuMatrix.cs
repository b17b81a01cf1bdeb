using ILGPU;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu.Weights;

/// <summary>A weight matrix in device memory, as quantised as its file where the device has a format for it, else in half precision.</summary>
internal sealed unsafe class GpuMatrix : IWeightMatrix
{
    private readonly GpuBuffer _buffer;
    private MatrixView _view;

    private GpuMatrix(GpuMemory memory, GpuLayout layout, int rows, int columns)
    {
        Layout = layout;
        Rows = rows;
        Columns = columns;
        _buffer = memory.Allocate(layout.Bytes(rows, columns));
        long quants = layout.QuantPlane(rows, columns), high = layout.HighPlane(rows, columns), scales = layout.ScalePlane(rows, columns);
        long highStart = GpuLayout.Aligned(quants), scaleStart = highStart + GpuLayout.Aligned(high);
        _view = new MatrixView
        {
            Quants = _buffer.View.SubView(0, quants).Cast<Int4>(),
            High = _buffer.View.SubView(high == 0 ? 0 : highStart, high).Cast<int>(),
            Scales = _buffer.View.SubView(scales == 0 ? 0 : scaleStart, scales).Cast<ushort>(),
            Rows = rows,
            Columns = columns,
            Units = checked((int)layout.Units(columns)),
        };
    }

    public GpuLayout Layout { get; }

    public int Rows { get; }

    public int Columns { get; }

    public long Bytes => _buffer.Bytes;

    public MatrixView View => _view;

    /// <summary>Stacks the parts by rows; what it throws names the tensor.</summary>
    public static GpuMatrix Pack(GpuMemory memory, HostStaging staging, WorkerTeam team, ReadOnlySpan<WeightPart> parts)
    {
        ArgumentOutOfRangeException.ThrowIfZero(parts.Length);
        TensorView first = parts[0].Tensor;
        int rows = 0;
        foreach (WeightPart part in parts)
        {
            if (part.Tensor.Type != first.Type || part.Tensor.Columns != first.Columns)
            {
                throw new ArgumentException($"tensor {part.Tensor.Name} ({part.Tensor.Type}, {part.Tensor.Columns} columns) cannot be stacked with {first.Name} ({first.Type}, {first.Columns} columns)");
            }

            rows = checked(rows + part.Rows);
        }

        var matrix = new GpuMatrix(memory, GpuLayout.Of(first.Type), rows, checked((int)first.Columns));
        try
        {
            long row = 0;
            foreach (WeightPart part in parts)
            {
                matrix.Write(staging, team, part, row);
                row += part.Rows;
            }

            return matrix;
        }
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    public void Dispose() => _buffer.Dispose();

    /// <summary>Packs a part piece by piece in host memory and copies its planes.</summary>
    private void Write(HostStaging staging, WorkerTeam team, in WeightPart part, long destination)
    {
        const long PieceBytes = 32L << 20;
        int columns = Columns, pieceRows = (int)Math.Clamp(PieceBytes / Math.Max(1, Layout.Bytes(1, columns)), 1, Math.Max(1, part.Rows));
        using var quants = new NativeBuffer(Layout.QuantPlane(pieceRows, columns));
        using var high = new NativeBuffer(Layout.HighPlane(pieceRows, columns));
        using var scales = new NativeBuffer(Layout.ScalePlane(pieceRows, columns));
        for (int done = 0; done < part.Rows; done += pieceRows)
        {
            int rows = Math.Min(pieceRows, part.Rows - done);
            new GpuPacker(Layout, part with { FirstRow = part.FirstRow + done, Rows = rows }, quants.Pointer, high.Pointer, scales.Pointer).Run(team);
            long above = destination + done;
            Copy(staging, quants, Layout.QuantPlane(rows, columns), 0, Layout.QuantPlane(above, columns));
            Copy(staging, high, Layout.HighPlane(rows, columns), GpuLayout.Aligned(Layout.QuantPlane(Rows, columns)), Layout.HighPlane(above, columns));
            Copy(staging, scales, Layout.ScalePlane(rows, columns), GpuLayout.Aligned(Layout.QuantPlane(Rows, columns)) + GpuLayout.Aligned(Layout.HighPlane(Rows, columns)), Layout.ScalePlane(above, columns));
        }
    }

    private void Copy(HostStaging staging, NativeBuffer source, long bytes, long plane, long offset)
    {
        if (bytes > 0)
        {
            staging.Upload(new ReadOnlySpan<byte>(source.Pointer, checked((int)bytes)), _buffer.View.SubView(plane + offset, bytes));
        }
    }
}
