using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Norms, rotation and what happens element by element. A team works on a row, or a thread on an element.</summary>
internal static class RowCode
{
    /// <param name="weight">[length], for head h from h × <paramref name="weightStride"/> on; empty for ones.</param>
    /// <param name="bias">[length], or empty.</param>
    /// <param name="heads">Stretches of <paramref name="length"/> in a row, each normed by itself.</param>
    [DeviceKernel]
    public static void Norm<TTeam>(
        RowsView x, ArrayView<float> weight, ArrayView<float> bias, RowsView y, int rows, int heads, int length, int weightStride, int aroundMean, float epsilon)
        where TTeam : struct, ITeam
    {
        for (int work = TTeam.Index; work < rows * heads; work += TTeam.Count)
        {
            int row = work / heads, head = work % heads, first = head * length;
            float mean = 0;
            if (aroundMean != 0)
            {
                float sum = 0;
                for (int i = TTeam.Lane; i < length; i += TTeam.Size)
                {
                    sum += x.Get(row, first + i);
                }

                mean = TTeam.Sum(sum) / length;
            }

            float squares = 0;
            for (int i = TTeam.Lane; i < length; i += TTeam.Size)
            {
                float v = x.Get(row, first + i) - mean;
                squares += v * v;
            }

            float scale = 1f / MathF.Sqrt((TTeam.Sum(squares) / length) + epsilon);
            for (int i = TTeam.Lane; i < length; i += TTeam.Size)
            {
                float v = (x.Get(row, first + i) - mean) * scale;
                v = weight.Length > 0 ? v * weight[(head * weightStride) + i] : v;
                v = bias.Length > 0 ? v + bias[i] : v;
                y.Set(row, first + i, v);
            }
        }
    }

    /// <summary>Cosine and sine of position × frequency at both members of a pair; minus the sine at the first.</summary>
    [DeviceKernel]
    public static void RopeFactors(ArrayView<int> positions, ArrayView<double> frequencies, RowsView cosines, RowsView sines, int rows, int pairs, int interleaved, float magnitude)
    {
        for (int work = SoloTeam.Index; work < rows * pairs; work += SoloTeam.Count)
        {
            int row = work / pairs, pair = work % pairs;
            int first = interleaved != 0 ? 2 * pair : pair, second = interleaved != 0 ? first + 1 : pair + pairs;
            double angle = positions[row] * frequencies[pair];

            // pi / 2 in three parts; the first two have 33 bits, so that their multiples are exact.
            double quadrant = ((angle * 0.63661977236758134308) + 6755399441055744.0) - 6755399441055744.0;
            double r = ((angle - (quadrant * 1.57079632673412561417)) - (quadrant * 6.07710050630396597660e-11)) - (quadrant * 2.02226624879595063154e-21);
            double square = r * r, sin = 0, cos = 0;
            for (int k = 18; k >= 2; k -= 2)
            {
                sin = (1 + sin) * -square / ((k + 1) * k);
                cos = (1 + cos) * -square / (k * (k - 1));
            }

            sin = r + (r * sin);
            cos = 1 + cos;
            int turn = (int)((long)quadrant & 3);
            double turnedSin = turn == 0 ? sin : turn == 1 ? cos : turn == 2 ? -sin : -cos;
            double turnedCos = turn == 0 ? cos : turn == 1 ? -sin : turn == 2 ? -cos : sin;
            float sine = (float)turnedSin * magnitude, cosine = (float)turnedCos * magnitude;
            cosines.Set(row, first, cosine);
            cosines.Set(row, second, cosine);
            sines.Set(row, first, -sine);
            sines.Set(row, second, sine);
        }
    }

    [DeviceKernel]
    public static void Rope(RowsView x, RowsView cosines, RowsView sines, int rows, int heads, int headStride, int pairs, int interleaved)
    {
        for (int work = SoloTeam.Index; work < rows * heads * pairs; work += SoloTeam.Count)
        {
            int row = work / (heads * pairs), head = work / pairs % heads, pair = work % pairs, start = head * headStride;
            int first = interleaved != 0 ? 2 * pair : pair, second = interleaved != 0 ? first + 1 : pair + pairs;
            float a = x.Get(row, start + first), b = x.Get(row, start + second);
            x.Set(row, start + first, (b * sines.Get(row, first)) + (a * cosines.Get(row, first)));
            x.Set(row, start + second, (a * sines.Get(row, second)) + (b * cosines.Get(row, second)));
        }
    }

    /// <param name="kind">Number of the activation.</param>
    [DeviceKernel]
    public static void Activate(RowsView gate, RowsView up, RowsView y, int rows, int length, int gated, int kind)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            float x = gate.Get(row, column), other = gated != 0 ? up.Get(row, column) : 1f;
            float value;
            if (kind == 0)
            {
                value = x / (1f + Intrinsics.Exp(-x));
            }
            else if (kind == 1)
            {
                value = x / (1f + Intrinsics.Exp(((x * x * x * 0.044715f) + x) * -1.5957691216f));
            }
            else if (kind == 2)
            {
                float positive = x > 0 ? x : 0;
                value = positive * positive;
            }
            else
            {
                x = x < 7f ? x : 7f;
                value = x / (1f + Intrinsics.Exp(x * -1.702f));
                other = other < 7f ? other : 7f;
                other = (other > -7f ? other : -7f) + 1f;
            }

            y.Set(row, column, value * other);
        }
    }

    /// <summary>y += scale × x.</summary>
    [DeviceKernel]
    public static void Add(RowsView x, RowsView y, int rows, int length, float scale)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            y.Set(row, column, y.Get(row, column) + (x.Get(row, column) * scale));
        }
    }

    /// <summary>x = f(x): scaled (0), capped (1), bounded (2), or the sigmoid (3).</summary>
    [DeviceKernel]
    public static void Change(RowsView x, int rows, int length, int kind, float amount)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            float value = x.Get(row, column);
            if (kind == 0)
            {
                value *= amount;
            }
            else if (kind == 1)
            {
                value = amount * Intrinsics.Tanh(value / amount);
            }
            else if (kind == 2)
            {
                value = value < amount ? value : amount;
                value = value > -amount ? value : -amount;
            }
            else
            {
                value = 1f / (1f + Intrinsics.Exp(-value));
            }

            x.Set(row, column, value);
        }
    }

    /// <summary>x[row] *= factors[row][0].</summary>
    [DeviceKernel]
    public static void ScaleRows(RowsView x, RowsView factors, int rows, int length)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            x.Set(row, column, x.Get(row, column) * factors.Get(row, 0));
        }
    }

    /// <summary>y[i] = x[rows[i]], or x[i] where no rows are given.</summary>
    [DeviceKernel]
    public static void Copy(RowsView x, ArrayView<int> from, RowsView y, int rows, int length)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            y.Set(row, column, x.Get(from.Length > 0 ? from[row] : row, column));
        }
    }
}
