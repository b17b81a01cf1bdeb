using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>Rows [<paramref name="FirstRow"/>, <paramref name="FirstRow"/> + <paramref name="Rows"/>) of a tensor: a whole matrix, or one expert's slice of three dimensions.</summary>
public readonly record struct WeightPart(TensorView Tensor, long FirstRow, int Rows)
{
    public static implicit operator WeightPart(TensorView tensor) => new(tensor, 0, checked((int)tensor.Rows));
}

/// <summary>
/// A weight matrix [rows × columns] for <see cref="MatMul"/>: 16 rows interleaved dword by dword (<see cref="WeightUnits"/>), group after group, rows
/// padded with zeros to whole groups. May stack several tensors of one type (q, k and v; gate and up), each an output of its own width in one pass.
/// </summary>
public sealed unsafe class WeightMatrix : IWeightMatrix
{
    private readonly NativeBuffer _buffer;

    private WeightMatrix(GgmlType type, int rows, int columns)
    {
        (int elements, int dwords) = WeightUnits.Size(type);
        Type = type;
        Rows = rows;
        Columns = columns;
        Groups = (rows + WeightUnits.GroupRows - 1) / WeightUnits.GroupRows;
        Units = (columns + elements - 1) / elements;
        GroupBytes = (long)Units * dwords * WeightUnits.GroupRows * 4;
        Form = ActivationForms.For(type);
        _buffer = new NativeBuffer(checked(GroupBytes * Groups));
    }

    public GgmlType Type { get; }

    /// <summary>Outputs.</summary>
    public int Rows { get; }

    /// <summary>Inputs.</summary>
    public int Columns { get; }

    /// <summary>Native memory held.</summary>
    public long Bytes => _buffer.Bytes;

    internal int Groups { get; }
    internal int Units { get; }
    internal long GroupBytes { get; }
    internal ActivationForm Form { get; }

    internal byte* Group(int group) => _buffer.Pointer + (group * GroupBytes);

    /// <summary>
    /// Repacks the parts, stacked in order, with every worker of the team. Throws <see cref="NotSupportedException"/> for a type that cannot be multiplied with and
    /// <see cref="ArgumentException"/> when the parts differ in type or columns; both name the tensor.
    /// </summary>
    public static WeightMatrix Pack(WorkerTeam team, params ReadOnlySpan<WeightPart> parts)
    {
        ArgumentOutOfRangeException.ThrowIfZero(parts.Length);
        TensorView first = parts[0].Tensor;
        if (!IsSupported(first.Type))
        {
            throw new NotSupportedException($"tensor {first.Name}: weights of type {first.Type} are not supported");
        }

        int rows = 0;
        foreach (WeightPart part in parts)
        {
            if (part.Tensor.Type != first.Type || part.Tensor.Columns != first.Columns)
            {
                throw new ArgumentException($"tensor {part.Tensor.Name} ({part.Tensor.Type}, {part.Tensor.Columns} columns) cannot be stacked with {first.Name} ({first.Type}, {first.Columns} columns)");
            }

            if (part.FirstRow < 0 || part.Rows < 0 || part.FirstRow + part.Rows > part.Tensor.Rows)
            {
                throw new ArgumentException($"tensor {part.Tensor.Name} has {part.Tensor.Rows} rows, asked for {part.Rows} from {part.FirstRow}");
            }

            rows = checked(rows + part.Rows);
        }

        var matrix = new WeightMatrix(first.Type, rows, checked((int)first.Columns));
        try
        {
            int destination = 0;
            foreach (WeightPart part in parts)
            {
                new WeightPacker(team, matrix, part, destination).Run();
                destination += part.Rows;
            }

            return matrix;
        }
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    /// <summary>True when tensors of this type can be stacked into one matrix with others of the same type and multiplied.</summary>
    public static bool IsSupported(GgmlType type) => WeightUnits.Size(type).Elements != 0;

    /// <summary>Native memory that <see cref="Pack"/> takes for a matrix of this shape.</summary>
    public static long PackedBytes(GgmlType type, long rows, long columns)
    {
        (int elements, int dwords) = WeightUnits.Size(type);
        return checked((rows + WeightUnits.GroupRows - 1) / WeightUnits.GroupRows * ((columns + elements - 1) / elements) * dwords * WeightUnits.GroupRows * 4);
    }

    /// <summary>Writes one row's values as f32 [columns].</summary>
    public void DequantizeRow(int row, Span<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        (int elements, int dwords) = WeightUnits.Size(Type);
        uint* lane = (uint*)Group(row / WeightUnits.GroupRows) + (row % WeightUnits.GroupRows);
        uint* unit = stackalloc uint[dwords];
        float* decoded = stackalloc float[elements];
        for (int u = 0; u < Units; u++)
        {
            for (int i = 0; i < dwords; i++, lane += WeightUnits.GroupRows)
            {
                unit[i] = *lane;
            }

            RowDecoder.Dequantize(Type, unit, decoded);
            int count = Math.Min(elements, Columns - (u * elements));
            new ReadOnlySpan<float>(decoded, count).CopyTo(values[(u * elements)..]);
        }
    }

    public void Dispose() => _buffer.Dispose();
}
