using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Marks a method that is launched on the device; each is built and tested for every format and team that it is written for.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class DeviceKernelAttribute : Attribute;

/// <summary>Products of weight matrices with rows, and rows of matrices by number.</summary>
internal static class MatrixCode
{
    /// <summary>Input rows that share one pass over the weights.</summary>
    public const int SharedInputs = 4;

    /// <summary>y = W x + b of one input row; a team takes two weight rows, so that twice the loads are under way.</summary>
    /// <param name="bias">[rows], or empty.</param>
    [DeviceKernel]
    public static void MultiplyOne<TFormat, TUnit, TTeam>(MatrixView w, InputView x, RowsView y, ArrayView<float> bias)
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        for (int pair = TTeam.Index; pair < (w.Rows + 1) / 2; pair += TTeam.Count)
        {
            int first = pair * 2, second = first + 1 < w.Rows ? first + 1 : first;
            float a = 0, b = 0;
            for (int unit = TTeam.Lane; unit < w.Units; unit += TTeam.Size)
            {
                TUnit weightsA = TFormat.Load(w, first, unit), weightsB = TFormat.Load(w, second, unit);
                a += TFormat.Dot(weightsA, x, 0, unit);
                b += TFormat.Dot(weightsB, x, 0, unit);
            }

            a = TTeam.Sum(a);
            b = TTeam.Sum(b);
            if (TTeam.Lane == 0)
            {
                y.Set(0, first, bias.Length > 0 ? a + bias[first] : a);
                if (second > first)
                {
                    y.Set(0, second, bias.Length > 0 ? b + bias[second] : b);
                }
            }
        }
    }

    /// <summary>y = W x + b of a few input rows; a team takes one weight row for four of them.</summary>
    [DeviceKernel]
    public static void MultiplyFew<TFormat, TUnit, TTeam>(MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows)
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        int tiles = (inputRows + SharedInputs - 1) / SharedInputs;
        for (int work = TTeam.Index; work < w.Rows * tiles; work += TTeam.Count)
        {
            int row = work / tiles, input = work % tiles * SharedInputs;
            Products<TFormat, TUnit, TTeam>(w, row, x, input, input + 1, input + 2, input + 3, inputRows - input, y, input, row, bias, row);
        }
    }

    /// <summary>
    /// y[use] = W[expert] x + b: a team takes one weight row of an expert for four of its uses. Uses are sorted by expert; one that is not the first of four does nothing.
    /// </summary>
    /// <param name="expertRows">Weight rows of one expert.</param>
    /// <param name="byUse">The input rows are those of the uses, else the rows that they name.</param>
    [DeviceKernel]
    public static void MultiplyExperts<TFormat, TUnit, TTeam>(
        MatrixView w, InputView x, RowsView y, ArrayView<float> bias, ExpertView experts, int expertRows, int biasStride, int biasOffset, int uses, int byUse)
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        for (int work = TTeam.Index; work < expertRows * uses; work += TTeam.Count)
        {
            int use = work % uses, row = work / uses, expert = experts.Expert[use];
            if ((use - experts.First[expert]) % SharedInputs == 0)
            {
                int count = experts.First[expert + 1] - use, last = uses - 1;
                int second = use + 1 < last ? use + 1 : last, third = use + 2 < last ? use + 2 : last, fourth = use + 3 < last ? use + 3 : last;
                Products<TFormat, TUnit, TTeam>(
                    w,
                    (expert * expertRows) + row,
                    x,
                    byUse != 0 ? use : experts.Row[use],
                    byUse != 0 ? second : experts.Row[second],
                    byUse != 0 ? third : experts.Row[third],
                    byUse != 0 ? fourth : experts.Row[fourth],
                    count,
                    y,
                    use,
                    row,
                    bias,
                    (expert * biasStride) + biasOffset + row);
            }
        }
    }

    /// <summary>y[i] = row ids[i] of the matrix.</summary>
    [DeviceKernel]
    public static void Embed<TFormat, TUnit, TTeam>(MatrixView w, ArrayView<int> ids, RowsView y, int count)
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        for (int work = TTeam.Index; work < count * w.Units; work += TTeam.Count)
        {
            int row = work / w.Units, unit = work % w.Units, left = w.Columns - (unit * TFormat.Elements);
            TUnit weights = TFormat.Load(w, ids[row], unit);
            for (int i = TTeam.Lane; i < TFormat.Elements && i < left; i += TTeam.Size)
            {
                y.Set(row, (unit * TFormat.Elements) + i, TFormat.Element(weights, i));
            }
        }
    }

    private static void Products<TFormat, TUnit, TTeam>(
        MatrixView w, int row, InputView x, int input0, int input1, int input2, int input3, int count, RowsView y, int outputRow, int column, ArrayView<float> bias, int biasIndex)
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        float a = 0, b = 0, c = 0, d = 0;
        for (int unit = TTeam.Lane; unit < w.Units; unit += TTeam.Size)
        {
            TUnit weights = TFormat.Load(w, row, unit);
            a += TFormat.Dot(weights, x, input0, unit);
            if (count > 1)
            {
                b += TFormat.Dot(weights, x, input1, unit);
            }

            if (count > 2)
            {
                c += TFormat.Dot(weights, x, input2, unit);
            }

            if (count > 3)
            {
                d += TFormat.Dot(weights, x, input3, unit);
            }
        }

        a = TTeam.Sum(a);
        b = TTeam.Sum(b);
        c = TTeam.Sum(c);
        d = TTeam.Sum(d);
        if (TTeam.Lane == 0)
        {
            float offset = bias.Length > 0 ? bias[biasIndex] : 0;
            y.Set(outputRow, column, a + offset);
            if (count > 1)
            {
                y.Set(outputRow + 1, column, b + offset);
            }

            if (count > 2)
            {
                y.Set(outputRow + 2, column, c + offset);
            }

            if (count > 3)
            {
                y.Set(outputRow + 3, column, d + offset);
            }
        }
    }
}

/// <summary>Where a step's rows go, on the device. A *use* is one (row, expert) pair; uses are sorted by expert.</summary>
internal struct ExpertView
{
    /// <summary>[uses].</summary>
    public ArrayView<int> Expert;

    /// <summary>[uses].</summary>
    public ArrayView<int> Row;

    /// <summary>[experts + 1]: where each expert's uses start.</summary>
    public ArrayView<int> First;
}
