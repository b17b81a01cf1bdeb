using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Gpu.Weights;

/// <summary>Rewrites rows of a tensor in the device's planes, in host memory, with every worker.</summary>
internal readonly unsafe struct GpuPacker(GpuLayout layout, WeightPart part, byte* quants, byte* high, byte* scales) : IJob
{
    private const int ChunkRows = 16;

    public void Run(WorkerTeam team) => team.Run(this, (part.Rows + ChunkRows - 1) / ChunkRows);

    public void Execute(int chunk, int worker)
    {
        int columns = checked((int)part.Tensor.Columns);
        float[] values = layout.IsQuantised ? [] : new float[layout.Units(columns) * layout.Elements];
        int end = Math.Min(part.Rows, (chunk + 1) * ChunkRows);
        for (int row = chunk * ChunkRows; row < end; row++)
        {
            byte* rowQuants = quants + (row * layout.Units(columns) * layout.QuantBytes);
            if (layout.IsQuantised)
            {
                Quantised(row, columns, rowQuants, high + (row * layout.Units(columns) * layout.HighBytes), scales + (row * (layout.Units(columns) / layout.ScaleUnits) * layout.ScaleBytes));
            }
            else
            {
                Dequantizer.ToF32(part.Tensor.Type, part.Tensor.RowBytes(part.FirstRow + row, 1), values.AsSpan(0, columns));
                Floats(values, rowQuants);
            }
        }
    }

    private void Floats(ReadOnlySpan<float> values, byte* destination)
    {
        for (int i = 0; i < values.Length; i++)
        {
            switch (layout.Type)
            {
                case GgmlType.F32:
                    ((float*)destination)[i] = values[i];
                    break;
                case GgmlType.BF16:
                    ((ushort*)destination)[i] = (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16);
                    break;
                default:
                    ((Half*)destination)[i] = (Half)values[i];
                    break;
            }
        }
    }

    /// <summary>Panel by panel of 256 elements, from their scalar meaning.</summary>
    private void Quantised(int row, int columns, byte* rowQuants, byte* rowHigh, byte* rowScales)
    {
        GgmlType type = part.Tensor.Type;
        int blockBytes = GgmlTypes.BlockBytes(type), blockElements = GgmlTypes.BlockElements(type);
        (int unitElements, int dwords) = WeightUnits.Size(type);
        byte* source = (byte*)part.Tensor.Address + ((part.FirstRow + row) * (columns / blockElements) * blockBytes);
        uint* unit = stackalloc uint[dwords];
        for (int first = 0; first < columns; first += RowPanel.Length)
        {
            RowPanel panel = default;
            int count = Math.Min(RowPanel.Length, columns - first);
            for (int element = 0; element < count; element += unitElements)
            {
                int blocks = Math.Min(unitElements, count - element) / blockElements;
                WeightUnits.Gather(type, source, blocks, unit);
                RowDecoder.Decode(type, unit, ref panel, element);
                source += blocks * blockBytes;
            }

            for (int block = 0; block < count / 32; block++)
            {
                int number = (first / 32) + block;
                new PanelPacker(layout.Type, &panel, block).Write(rowQuants + (number * layout.QuantBytes), rowHigh + (number * layout.HighBytes), (ushort*)rowScales + (layout.ScaleUnits == 1 ? number : first / 256 * (layout.ScaleBytes / 2)));
            }
        }
    }
}
