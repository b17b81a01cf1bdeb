namespace Lamina.Compute.Gguf;

/// <summary>A tensor's entry in the header.</summary>
/// <param name="Dimensions">One to four extents, all positive, the first one contiguous in memory and a whole number of blocks.</param>
/// <param name="Offset">Bytes from the start of the data section.</param>
public sealed record GgufTensorInfo(string Name, GgmlType Type, IReadOnlyList<long> Dimensions, long Offset = 0)
{
    public long Columns => Dimensions[0];

    public long Rows
    {
        get
        {
            long rows = 1;
            for (int i = 1; i < Dimensions.Count; i++)
            {
                rows = checked(rows * Dimensions[i]);
            }

            return rows;
        }
    }

    public long ByteLength => GgmlTypes.ByteLength(Type, checked(Columns * Rows));
}
