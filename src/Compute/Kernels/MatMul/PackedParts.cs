using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>Tensors stacked by rows into one linear map: neighbours of the same type become one matrix.</summary>
internal static class PackedParts
{
    /// <param name="part">Which expert's or head's rows they are.</param>
    /// <param name="count">How many experts or heads the tensors hold.</param>
    /// <param name="own">Called with every piece of memory and its bytes.</param>
    /// <param name="packed">Called with the bytes of each part, as the file has them, once its matrix stands.</param>
    public static Linear Pack(IKernels kernels, WeightPart[] parts, int part, int count, float[]? bias, Action<IDisposable, long> own, Action<long>? packed = null)
    {
        var matrices = new List<(IWeightMatrix, int)>();
        int output = 0;
        for (int first = 0; first < parts.Length;)
        {
            int end = SameType(parts, first);
            IWeightMatrix matrix = kernels.Pack(parts.AsSpan(first, end - first));
            own(matrix, matrix.Bytes);
            matrices.Add((matrix, output));
            output += matrix.Rows;
            for (; first < end; first++)
            {
                packed?.Invoke(GgmlTypes.ByteLength(parts[first].Tensor.Type, parts[first].Tensor.Columns) * parts[first].Rows);
            }
        }

        Vector? vector = null;
        if (bias is not null)
        {
            vector = new Vector(kernels, bias);
            own(vector, vector.Bytes);
        }

        var sources = new LinearSource[parts.Length];
        for (int i = 0, offset = 0; i < parts.Length; offset += parts[i].Rows, i++)
        {
            sources[i] = new LinearSource(parts[i].Tensor.Name, offset, parts[i].Rows, part, count);
        }

        return new Linear([.. matrices], vector, sources);
    }

    /// <summary>End of the run of parts that have the type of <paramref name="first"/>.</summary>
    public static int SameType(WeightPart[] parts, int first)
    {
        int end = first + 1;
        while (end < parts.Length && parts[end].Tensor.Type == parts[first].Tensor.Type)
        {
            end++;
        }

        return end;
    }
}
