using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>
/// How strongly each input column of each matrix is used, as measured on sample text: mean squares of activations, by tensor name, for every expert in turn where
/// there are experts. Reads the GGUF form (tensors <c>NAME.in_sum2</c> and <c>NAME.counts</c>) and the older binary list.
/// </summary>
public sealed class ImportanceMatrix
{
    private const int MaxEntries = 65_536;
    private const int MaxNameBytes = 256;
    private const int MaxListBytes = 1 << 30;
    private readonly Dictionary<string, float[]> columns;

    public ImportanceMatrix(IReadOnlyDictionary<string, float[]> columns) => this.columns = new(columns, StringComparer.Ordinal);

    /// <summary>Throws <see cref="InvalidDataException"/> when the file is neither form or damaged.</summary>
    public static ImportanceMatrix Open(string path)
    {
        FileKind.RequireRegular(path);
        using (FileStream stream = File.OpenRead(path))
        {
            Span<byte> magic = stackalloc byte[4];
            if (stream.ReadAtLeast(magic, 4, throwOnEndOfStream: false) < 4 || !magic.SequenceEqual("GGUF"u8))
            {
                return stream.Length <= MaxListBytes ? FromList(File.ReadAllBytes(path)) : throw new InvalidDataException($"an importance matrix of {stream.Length} bytes is beyond the limit of {MaxListBytes}");
            }
        }

        using GgufFile file = GgufFile.Open(path);
        return FromGguf(file);
    }

    /// <summary>Weights of a tensor's columns for the matrix that holds row <paramref name="row"/>; empty when the file says nothing about it.</summary>
    public ReadOnlySpan<float> ForRow(in TensorView tensor, long row)
    {
        if (!columns.TryGetValue(tensor.Name, out float[]? values))
        {
            return default;
        }

        long matrices = tensor.Dimensions.Count > 2 ? tensor.Dimensions[2] : 1;
        if (values.LongLength == tensor.Columns)
        {
            return values;
        }

        if (values.LongLength != tensor.Columns * matrices)
        {
            throw new InvalidDataException($"the importance matrix has {values.Length} values for '{tensor.Name}', expected {tensor.Columns * matrices}");
        }

        return values.AsSpan((int)(row / (tensor.Rows / matrices) * tensor.Columns), (int)tensor.Columns);
    }

    private static ImportanceMatrix FromGguf(GgufFile file)
    {
        const string Suffix = ".in_sum2";
        var columns = new Dictionary<string, float[]>();
        foreach (TensorView sums in file.Tensors.Where(tensor => tensor.Name.EndsWith(Suffix, StringComparison.Ordinal)))
        {
            string name = sums.Name[..^Suffix.Length];
            if (!file.TryGet(name + ".counts", out TensorView counts) || counts.Type != GgmlType.F32 || sums.Type != GgmlType.F32 || sums.Rows != counts.Rows * counts.Columns)
            {
                throw new InvalidDataException($"the importance matrix of '{name}' is incomplete");
            }

            float[] values = MemoryMarshal.Cast<byte, float>(sums.RowBytes(0, (int)sums.Rows)).ToArray();
            float[] divisors = MemoryMarshal.Cast<byte, float>(counts.RowBytes(0, (int)counts.Rows)).ToArray();
            for (int i = 0; i < values.Length; i++)
            {
                // An expert that was never used says nothing about its columns.
                float divisor = divisors[i / sums.Columns];
                values[i] = divisor > 0 ? values[i] / divisor : 1;
            }

            columns[name] = Checked(name, values);
        }

        return columns.Count > 0 ? new ImportanceMatrix(columns) : throw new InvalidDataException("the file holds no importance matrix");
    }

    /// <summary>Entry count, then for each: name length, name, calls, value count, values.</summary>
    private static ImportanceMatrix FromList(byte[] bytes)
    {
        int position = 0;
        var columns = new Dictionary<string, float[]>();
        int entries = Next(bytes, ref position, "entry count", MaxEntries);
        for (int i = 0; i < entries; i++)
        {
            int nameLength = Next(bytes, ref position, "name length", Math.Min(MaxNameBytes, bytes.Length - position - 4));
            string name = Encoding.UTF8.GetString(bytes, position, nameLength);
            position += nameLength;
            int calls = Math.Max(1, Next(bytes, ref position, "call count", int.MaxValue));
            int count = Next(bytes, ref position, $"value count of '{name}'", (bytes.Length - position - 4) / sizeof(float));
            float[] values = MemoryMarshal.Cast<byte, float>(bytes.AsSpan(position, count * sizeof(float))).ToArray();
            position += count * sizeof(float);
            foreach (ref float value in values.AsSpan())
            {
                value /= calls;
            }

            columns[name] = Checked(name, values);
        }

        return columns.Count > 0 ? new ImportanceMatrix(columns) : throw new InvalidDataException("the importance matrix is empty");
    }

    private static int Next(byte[] bytes, ref int position, string what, int most)
    {
        if (bytes.Length - position < 4)
        {
            throw new InvalidDataException($"the importance matrix ends at offset {position}, where its {what} should be");
        }

        int value = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(position));
        position += 4;
        return value >= 0 && value <= most ? value : throw new InvalidDataException($"the importance matrix has {what} {value} at offset {position - 4}, expected 0 to {most}");
    }

    private static float[] Checked(string name, float[] values) => values.All(value => float.IsFinite(value) && value >= 0)
        ? values
        : throw new InvalidDataException($"the importance matrix of '{name}' holds a negative or infinite value");
}
