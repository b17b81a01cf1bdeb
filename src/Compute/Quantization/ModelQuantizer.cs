using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <param name="AllowRequantize">Take sources that are quantised already, at the price of both errors.</param>
/// <param name="Progress">Called with (bytes written, bytes in all) from any thread.</param>
public sealed record ModelQuantizerOptions(
    QuantizationMix Mix, ImportanceMatrix? Importance = null, bool AllowRequantize = false, int? Threads = null, Action<long, long>? Progress = null);

/// <summary>Writes a model's copy in another quantisation: same metadata, same tensors in the same order, each in the type that the mix gives it.</summary>
public static class ModelQuantizer
{
    private const int ChunkElements = 1 << 20;

    /// <summary>
    /// Creates <paramref name="path"/>, and removes it again on failure. Throws <see cref="NotSupportedException"/> naming the tensor that cannot be converted.
    /// </summary>
    public static void Write(GgufFile source, string path, ModelQuantizerOptions options)
    {
        if (Path.GetFullPath(path) == Path.GetFullPath(source.Path))
        {
            throw new ArgumentException("a model cannot be quantised into its own file");
        }

        QuantizationModel model = QuantizationModel.Of(source, options.Importance is not null);
        GgufTensorInfo[] targets = [.. source.Tensors.Select(tensor => Target(tensor, options, model))];
        using GgufWriter writer = GgufWriter.Create(path, Metadata(source.Metadata, options.Mix), targets);
        try
        {
            long total = targets.Sum(target => target.ByteLength);
            long done = 0;
            for (int i = 0; i < targets.Length; i++)
            {
                WriteTensor(source.Tensors[i], writer, i, options, bytes => options.Progress?.Invoke(Interlocked.Add(ref done, bytes), total));
            }
        }
        catch
        {
            writer.Dispose();
            File.Delete(path);
            throw;
        }
    }

    private static GgufTensorInfo Target(TensorView tensor, ModelQuantizerOptions options, QuantizationModel model)
    {
        var info = new GgufTensorInfo(tensor.Name, tensor.Type, tensor.Dimensions);
        GgmlType type = TensorTypes.Choose(options.Mix, info, model);
        if (type == tensor.Type)
        {
            return info;
        }

        if (NeedsImportance(type, tensor.Name, options.Mix) && (options.Importance is null || options.Importance.ForRow(tensor, 0).IsEmpty))
        {
            throw new NotSupportedException($"tensor '{tensor.Name}' needs an importance matrix to become {type}");
        }

        if (!Dequantizer.Supports(tensor.Type) || !Quantizer.Supports(type))
        {
            throw new NotSupportedException($"tensor '{tensor.Name}' cannot be converted from {tensor.Type} to {type}");
        }

        if (!options.AllowRequantize && tensor.Type is not (GgmlType.F32 or GgmlType.F16 or GgmlType.BF16))
        {
            throw new NotSupportedException($"tensor '{tensor.Name}' is {tensor.Type} already; quantising it again to {type} must be asked for");
        }

        return info with { Type = type };
    }

    /// <summary>Below three bits a matrix quantised blindly is useless.</summary>
    private static bool NeedsImportance(GgmlType type, string name, QuantizationMix mix) => type switch
    {
        GgmlType.IQ2_XXS or GgmlType.IQ2_XS or GgmlType.IQ2_S or GgmlType.IQ1_S => true,
        GgmlType.IQ1_M => name is not ("token_embd.weight" or "output.weight"),
        GgmlType.Q2_K => mix == QuantizationMix.Q2_K_S && name != "token_embd.weight",
        _ => false,
    };

    private static GgufMetadata Metadata(GgufMetadata source, QuantizationMix mix)
    {
        GgufMetadataBuilder metadata = new GgufMetadataBuilder(source).Set("general.quantization_version", 2).Set("general.file_type", (int)mix);
        foreach (string key in source.Keys.Where(key => key.StartsWith("split.", StringComparison.Ordinal)))
        {
            metadata.Remove(key);
        }

        return metadata.Build();
    }

    private static void WriteTensor(TensorView source, GgufWriter writer, int index, ModelQuantizerOptions options, Action<long> written)
    {
        GgmlType type = writer.Tensors[index].Type;
        long rowBytes = GgmlTypes.ByteLength(type, source.Columns);
        int rowsPerChunk = (int)Math.Clamp(ChunkElements / source.Columns, 1, source.Rows);
        long chunks = (source.Rows + rowsPerChunk - 1) / rowsPerChunk;
        Parallel.For(0, chunks, new ParallelOptions { MaxDegreeOfParallelism = options.Threads ?? Environment.ProcessorCount }, chunk =>
        {
            long first = chunk * rowsPerChunk;
            int rows = (int)Math.Min(rowsPerChunk, source.Rows - first);
            if (type == source.Type)
            {
                writer.Write(index, first * rowBytes, source.RowBytes(first, rows));
            }
            else
            {
                writer.Write(index, first * rowBytes, Converted(source, type, first, rows, options.Importance));
            }

            written(rows * rowBytes);
        });
    }

    private static byte[] Converted(TensorView source, GgmlType type, long first, int rows, ImportanceMatrix? importance)
    {
        int columns = checked((int)source.Columns);
        long rowBytes = GgmlTypes.ByteLength(type, columns);
        var bytes = new byte[rows * rowBytes];
        var values = new float[columns];
        for (int row = 0; row < rows; row++)
        {
            Dequantizer.ToF32(source.Type, source.RowBytes(first + row, 1), values);
            ReadOnlySpan<float> weights = importance is null ? default : importance.ForRow(source, first + row);
            Quantizer.FromF32(type, values, bytes.AsSpan((int)(row * rowBytes), (int)rowBytes), weights);
        }

        return bytes;
    }
}
