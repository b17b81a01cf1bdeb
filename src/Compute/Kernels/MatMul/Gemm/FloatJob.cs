using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
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

    // Fewer rows convert 16-bit floats on their way from memory.
    private const int DirectRows = 4;

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
                    if (weights.Type is GgmlType.F16 or GgmlType.BF16 && count < DirectRows && columns % 2 == 0)
                    {
                        for (int i = 0; i < count; i++)
                        {
                            OnePairs(weights.Type == GgmlType.F16, packed, columns / 2, Input(first + i, column), sums + (i * 64));
                        }

                        continue;
                    }

                    byte* unpacked = floats;
                    Prefetch(packed, columns / elements * dwords);
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

    // The stretch after this one, which follows it in memory.
    private static void Prefetch(byte* packed, int lines)
    {
        byte* next = packed + (lines * 64);
        for (int line = 0; line < lines; line++)
        {
            Sse.Prefetch1(next + (line * 64));
        }
    }

    private void Multiply(byte* weights, int columns, int column, int first, int count, byte* sums)
    {
        int i = 0;
        for (; i + 4 <= count; i += 4)
        {
            int row = first + i;
            float* x0 = Input(row, column), x1 = Input(row + 1, column), x2 = Input(row + 2, column), x3 = Input(row + 3, column);
            if (TSimd.Bytes == 64)
            {
                Four(weights, columns, x0, x1, x2, x3, sums + (i * 64));
            }
            else
            {
                PairFour(weights, columns, x0, x1, x2, x3, sums + (i * 64));
            }
        }

        for (; i < count; i++)
        {
            One(weights, columns, Input(first + i, column), sums + (i * 64));
        }
    }

    private float* Input(int row, int column) => task.Input(row) + column;

    /// <summary>Both registers of a group: each broadcast value meets two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PairFour(byte* weights, int columns, float* x0, float* x1, float* x2, float* x3, byte* sums)
    {
        V a0 = TSimd.Load(sums), b0 = TSimd.Load(sums + TSimd.Bytes);
        V a1 = TSimd.Load(sums + 64), b1 = TSimd.Load(sums + 64 + TSimd.Bytes);
        V a2 = TSimd.Load(sums + 128), b2 = TSimd.Load(sums + 128 + TSimd.Bytes);
        V a3 = TSimd.Load(sums + 192), b3 = TSimd.Load(sums + 192 + TSimd.Bytes);
        for (nint k = 0; k < columns; k++, weights += 64)
        {
            V low = TSimd.Load(weights), high = TSimd.Load(weights + TSimd.Bytes);
            V value = TSimd.BroadcastFrom(x0 + k);
            a0 = TSimd.MultiplyAdd(low, value, a0);
            b0 = TSimd.MultiplyAdd(high, value, b0);
            value = TSimd.BroadcastFrom(x1 + k);
            a1 = TSimd.MultiplyAdd(low, value, a1);
            b1 = TSimd.MultiplyAdd(high, value, b1);
            value = TSimd.BroadcastFrom(x2 + k);
            a2 = TSimd.MultiplyAdd(low, value, a2);
            b2 = TSimd.MultiplyAdd(high, value, b2);
            value = TSimd.BroadcastFrom(x3 + k);
            a3 = TSimd.MultiplyAdd(low, value, a3);
            b3 = TSimd.MultiplyAdd(high, value, b3);
        }

        TSimd.Store(sums, a0);
        TSimd.Store(sums + TSimd.Bytes, b0);
        TSimd.Store(sums + 64, a1);
        TSimd.Store(sums + 64 + TSimd.Bytes, b1);
        TSimd.Store(sums + 128, a2);
        TSimd.Store(sums + 128 + TSimd.Bytes, b2);
        TSimd.Store(sums + 192, a3);
        TSimd.Store(sums + 192 + TSimd.Bytes, b3);
    }

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

    // One row times pairs of 16-bit floats.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OnePairs(bool half, byte* packed, int pairs, float* x, byte* sums)
    {
        int second = 64 - TSimd.Bytes;
        V upper = TSimd.Broadcast(unchecked((int)0xFFFF0000)), a = TSimd.Load(sums), b = TSimd.Load(sums + second);
        for (int i = 0; i < pairs; i++, packed += 64, x += 2)
        {
            Sse.Prefetch0(packed + 4096);
            V even = TSimd.BroadcastFrom(x), odd = TSimd.BroadcastFrom(x + 1), pair = TSimd.Load(packed);
            a = TSimd.MultiplyAdd(half ? TSimd.HalfLow(pair) : TSimd.ShiftLeft32(pair, 16), even, a);
            a = TSimd.MultiplyAdd(half ? TSimd.HalfHigh(pair) : TSimd.And(pair, upper), odd, a);
            if (TSimd.Bytes < 64)
            {
                pair = TSimd.Load(packed + second);
                b = TSimd.MultiplyAdd(half ? TSimd.HalfLow(pair) : TSimd.ShiftLeft32(pair, 16), even, b);
                b = TSimd.MultiplyAdd(half ? TSimd.HalfHigh(pair) : TSimd.And(pair, upper), odd, b);
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
