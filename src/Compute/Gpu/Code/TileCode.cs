using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>How a tile of outputs is cut for the threads of a group; each thread owns 4 × 4 of them.</summary>
internal interface ITileShape
{
    /// <summary>Weight rows of a tile.</summary>
    static abstract int Rows { get; }

    /// <summary>Input rows of a tile.</summary>
    static abstract int Inputs { get; }
}

/// <summary>For a group of 256 threads.</summary>
internal readonly struct LargeTile : ITileShape
{
    public static int Rows => 64;
    public static int Inputs => 64;
}

/// <summary>For a group of two threads: tests without a GPU.</summary>
internal readonly struct SmallTile : ITileShape
{
    public static int Rows => 8;
    public static int Inputs => 4;
}

/// <summary>Products with many input rows: weights of 32 columns are unpacked into shared memory once and multiplied with the inputs of the tile.</summary>
internal static class TileCode
{
    /// <summary>Ints between rows in shared memory: eight and one, so that a column does not fall on one bank.</summary>
    private const int Pitch = 9;
    private const int MaxRows = 64;

    [DeviceKernel]
    public static void MultiplyMany<TFormat, TTile>(MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows)
        where TFormat : struct, IFormat<QuantUnit>
        where TTile : struct, ITileShape
    {
        ArrayView<int> weights = SharedMemory.Allocate<int>(MaxRows * Pitch), inputs = SharedMemory.Allocate<int>(MaxRows * Pitch);
        ArrayView<float> low = SharedMemory.Allocate<float>(MaxRows), high = SharedMemory.Allocate<float>(MaxRows), min = SharedMemory.Allocate<float>(MaxRows);
        ArrayView<float> scales = SharedMemory.Allocate<float>(MaxRows), sums = SharedMemory.Allocate<float>(MaxRows);

        int tilesDown = (w.Rows + TTile.Rows - 1) / TTile.Rows, tilesAcross = (inputRows + TTile.Inputs - 1) / TTile.Inputs;
        int threadRow = Group.IdxX % (TTile.Rows / 4), threadInput = Group.IdxX / (TTile.Rows / 4);
        for (int tile = Grid.IdxX; tile < tilesDown * tilesAcross; tile += Grid.DimX)
        {
            int firstRow = tile % tilesDown * TTile.Rows, firstInput = tile / tilesDown * TTile.Inputs;
            var sum = default(Sums16);
            for (int unit = 0; unit < w.Units; unit++)
            {
                for (int r = Group.IdxX; r < TTile.Rows; r += Group.DimX)
                {
                    int row = firstRow + r < w.Rows ? firstRow + r : w.Rows - 1;
                    QuantUnit q = TFormat.Load(w, row, unit);
                    weights[r * Pitch] = q.Q0;
                    weights[(r * Pitch) + 1] = q.Q1;
                    weights[(r * Pitch) + 2] = q.Q2;
                    weights[(r * Pitch) + 3] = q.Q3;
                    weights[(r * Pitch) + 4] = q.Q4;
                    weights[(r * Pitch) + 5] = q.Q5;
                    weights[(r * Pitch) + 6] = q.Q6;
                    weights[(r * Pitch) + 7] = q.Q7;
                    low[r] = q.Low;
                    high[r] = q.High;
                    min[r] = q.Min;
                }

                for (int i = Group.IdxX; i < TTile.Inputs; i += Group.DimX)
                {
                    int input = firstInput + i < inputRows ? firstInput + i : inputRows - 1;
                    long block = ((long)input * x.Blocks) + unit;
                    Int4 a = x.Quants[block * 2], b = x.Quants[(block * 2) + 1];
                    inputs[i * Pitch] = a.X;
                    inputs[(i * Pitch) + 1] = a.Y;
                    inputs[(i * Pitch) + 2] = a.Z;
                    inputs[(i * Pitch) + 3] = a.W;
                    inputs[(i * Pitch) + 4] = b.X;
                    inputs[(i * Pitch) + 5] = b.Y;
                    inputs[(i * Pitch) + 6] = b.Z;
                    inputs[(i * Pitch) + 7] = b.W;
                    scales[i] = x.Scales[block];
                    sums[i] = x.Sums[block];
                }

                Group.Barrier();
                sum.Row0 = Add(sum.Row0, weights, inputs, low, high, min, scales, sums, threadRow * 4, threadInput * 4);
                sum.Row1 = Add(sum.Row1, weights, inputs, low, high, min, scales, sums, (threadRow * 4) + 1, threadInput * 4);
                sum.Row2 = Add(sum.Row2, weights, inputs, low, high, min, scales, sums, (threadRow * 4) + 2, threadInput * 4);
                sum.Row3 = Add(sum.Row3, weights, inputs, low, high, min, scales, sums, (threadRow * 4) + 3, threadInput * 4);
                Group.Barrier();
            }

            Store(sum.Row0, y, bias, firstRow + (threadRow * 4), firstInput + (threadInput * 4), w.Rows, inputRows);
            Store(sum.Row1, y, bias, firstRow + (threadRow * 4) + 1, firstInput + (threadInput * 4), w.Rows, inputRows);
            Store(sum.Row2, y, bias, firstRow + (threadRow * 4) + 2, firstInput + (threadInput * 4), w.Rows, inputRows);
            Store(sum.Row3, y, bias, firstRow + (threadRow * 4) + 3, firstInput + (threadInput * 4), w.Rows, inputRows);
        }
    }

    /// <summary>One weight row with four input rows.</summary>
    private static Sums4 Add(
        Sums4 sum, ArrayView<int> weights, ArrayView<int> inputs, ArrayView<float> low, ArrayView<float> high, ArrayView<float> min, ArrayView<float> scales, ArrayView<float> sums, int row, int input)
    {
        sum.A += One(weights, inputs, low, high, min, scales, sums, row, input);
        sum.B += One(weights, inputs, low, high, min, scales, sums, row, input + 1);
        sum.C += One(weights, inputs, low, high, min, scales, sums, row, input + 2);
        sum.D += One(weights, inputs, low, high, min, scales, sums, row, input + 3);
        return sum;
    }

    private static float One(
        ArrayView<int> weights, ArrayView<int> inputs, ArrayView<float> low, ArrayView<float> high, ArrayView<float> min, ArrayView<float> scales, ArrayView<float> sums, int row, int input)
    {
        int w = row * Pitch, x = input * Pitch;
        int lower = Intrinsics.Dot4(weights[w], inputs[x], 0);
        lower = Intrinsics.Dot4(weights[w + 1], inputs[x + 1], lower);
        lower = Intrinsics.Dot4(weights[w + 2], inputs[x + 2], lower);
        lower = Intrinsics.Dot4(weights[w + 3], inputs[x + 3], lower);
        int upper = Intrinsics.Dot4(weights[w + 4], inputs[x + 4], 0);
        upper = Intrinsics.Dot4(weights[w + 5], inputs[x + 5], upper);
        upper = Intrinsics.Dot4(weights[w + 6], inputs[x + 6], upper);
        upper = Intrinsics.Dot4(weights[w + 7], inputs[x + 7], upper);
        return (scales[input] * ((low[row] * lower) + (high[row] * upper))) + (min[row] * sums[input]);
    }

    private static void Store(Sums4 sum, RowsView y, ArrayView<float> bias, int row, int input, int rows, int inputRows)
    {
        if (row >= rows)
        {
            return;
        }

        float offset = bias.Length > 0 ? bias[row] : 0;
        if (input < inputRows)
        {
            y.Set(input, row, sum.A + offset);
        }

        if (input + 1 < inputRows)
        {
            y.Set(input + 1, row, sum.B + offset);
        }

        if (input + 2 < inputRows)
        {
            y.Set(input + 2, row, sum.C + offset);
        }

        if (input + 3 < inputRows)
        {
            y.Set(input + 3, row, sum.D + offset);
        }
    }

    private struct Sums4
    {
        public float A, B, C, D;
    }

    private struct Sums16
    {
        public Sums4 Row0, Row1, Row2, Row3;
    }
}
