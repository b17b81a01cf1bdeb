using System.Runtime.CompilerServices;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>
/// Weights that are multiplied as floats: plain ones, and block types without an integer form, dequantised a stretch at a time. Each output is one chain of fused
/// multiply-adds in rising column order; rows of weights and of input give the parallelism.
/// </summary>
internal readonly unsafe struct FloatJob<TSimd, V>(MatMulTask task, int groupsPerChunk) : IJob
    where TSimd : ISimd<V>
    where V : struct
{
    /// <summary>Columns unpacked at a time; a multiple of every unit.</summary>
    private const int Stretch = 256;
    private const int RowBlock = 128;

    [SkipLocalsInit]
    public void Execute(int chunk, int worker)
    {
        byte* scratch = stackalloc byte[(Stretch * 64) + (RowBlock * 64) + 64];
        byte* floats = (byte*)(((nint)scratch + 63) & ~63);
        byte* sums = floats + (Stretch * 64);
        WeightMatrix weights = task.Weights;
        (int elements, int dwords) = WeightUnits.Size(weights.Type);
        int end = Math.Min(weights.Groups, (chunk + 1) * groupsPerChunk);
        for (int first = 0; first < task.Count; first += RowBlock)
        {
            int count = Math.Min(RowBlock, task.Count - first);
            for (int group = chunk * groupsPerChunk; group < end; group++)
            {
                new Span<byte>(sums, count * 64).Clear();
                for (int column = 0; column < weights.Columns; column += Stretch)
                {
                    byte* packed = weights.Group(group) + ((long)(column / elements) * dwords * 64);
                    int columns = Math.Min(Stretch, weights.Columns - column);
                    byte* unpacked = floats;
                    switch (weights.Type)
                    {
                        case GgmlType.F32:
                            unpacked = packed;
                            break;
                        case GgmlType.F16:
                            UnpackHalves(packed, (columns + 1) / 2, floats);
                            break;
                        case GgmlType.BF16:
                            UnpackBrains(packed, (columns + 1) / 2, floats);
                            break;
                        default:
                            UnpackBlocks(weights.Type, packed, columns / elements, (float*)floats);
                            break;
                    }

                    Multiply(unpacked, columns, column, first, count, sums);
                }

                for (int i = 0; i < count; i++)
                {
                    task.Store(group, first + i, (float*)(sums + (i * 64)));
                }
            }
        }
    }

    private void Multiply(byte* weights, int columns, int column, int first, int count, byte* sums)
    {
        int i = 0;
        for (; i + 4 <= count; i += 4)
        {
            int row = first + i;
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                Four(weights + half, columns, Input(row, column), Input(row + 1, column), Input(row + 2, column), Input(row + 3, column), sums + half + (i * 64));
            }
        }

        for (; i < count; i++)
        {
            One(weights, columns, Input(first + i, column), sums + (i * 64));
        }
    }

    private float* Input(int row, int column) => task.Input(row) + column;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(byte* weights, int columns, float* x0, float* x1, float* x2, float* x3, byte* sums)
    {
        V a0 = TSimd.Load(sums), a1 = TSimd.Load(sums + 64), a2 = TSimd.Load(sums + 128), a3 = TSimd.Load(sums + 192);
        for (nint k = 0; k < columns; k++, weights += 64)
        {
            V w = TSimd.Load(weights);
            a0 = TSimd.MultiplyAdd(w, TSimd.BroadcastFrom(x0 + k), a0);
            a1 = TSimd.MultiplyAdd(w, TSimd.BroadcastFrom(x1 + k), a1);
            a2 = TSimd.MultiplyAdd(w, TSimd.BroadcastFrom(x2 + k), a2);
            a3 = TSimd.MultiplyAdd(w, TSimd.BroadcastFrom(x3 + k), a3);
        }

        TSimd.Store(sums, a0);
        TSimd.Store(sums + 64, a1);
        TSimd.Store(sums + 128, a2);
        TSimd.Store(sums + 192, a3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(byte* weights, int columns, float* x, byte* sums)
    {
        // A second register where a vector takes two; where it takes one, it adds the same again and is left out.
        int second = 64 - TSimd.Bytes;
        V a = TSimd.Load(sums), b = TSimd.Load(sums + second);
        for (nint k = 0; k < columns; k++, weights += 64)
        {
            V value = TSimd.BroadcastFrom(x + k);
            a = TSimd.MultiplyAdd(TSimd.Load(weights), value, a);
            if (TSimd.Bytes < 64)
            {
                b = TSimd.MultiplyAdd(TSimd.Load(weights + second), value, b);
            }
        }

        TSimd.Store(sums, a);
        if (TSimd.Bytes < 64)
        {
            TSimd.Store(sums + second, b);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackHalves(byte* packed, int pairs, byte* floats)
    {
        for (int i = 0; i < pairs; i++, packed += 64, floats += 128)
        {
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                V pair = TSimd.Load(packed + half);
                TSimd.Store(floats + half, TSimd.HalfLow(pair));
                TSimd.Store(floats + 64 + half, TSimd.HalfHigh(pair));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void UnpackBrains(byte* packed, int pairs, byte* floats)
    {
        V upper = TSimd.Broadcast(unchecked((int)0xFFFF0000));
        for (int i = 0; i < pairs; i++, packed += 64, floats += 128)
        {
            for (int half = 0; half < 64; half += TSimd.Bytes)
            {
                V pair = TSimd.Load(packed + half);
                TSimd.Store(floats + half, TSimd.ShiftLeft32(pair, 16));
                TSimd.Store(floats + 64 + half, TSimd.And(pair, upper));
            }
        }
    }

    private static void UnpackBlocks(GgmlType type, byte* packed, int units, float* floats)
    {
        (int elements, int dwords) = WeightUnits.Size(type);
        uint* unit = stackalloc uint[dwords];
        float* values = stackalloc float[elements];
        for (int u = 0; u < units; u++)
        {
            for (int lane = 0; lane < WeightUnits.GroupRows; lane++)
            {
                uint* source = (uint*)packed + ((long)u * dwords * WeightUnits.GroupRows) + lane;
                for (int i = 0; i < dwords; i++)
                {
                    unit[i] = source[i * WeightUnits.GroupRows];
                }

                RowDecoder.Dequantize(type, unit, values);
                for (int k = 0; k < elements; k++)
                {
                    floats[(((u * elements) + k) * WeightUnits.GroupRows) + lane] = values[k];
                }
            }
        }
    }
}
