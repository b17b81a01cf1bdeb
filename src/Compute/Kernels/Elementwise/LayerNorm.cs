using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>y_i = (x_i - mean(x)) / sqrt(variance(x) + epsilon) × weight_i + bias_i.</summary>
internal static unsafe class LayerNorm
{
    /// <param name="weight">[length], or null for ones.</param>
    /// <param name="bias">[length], or null for zeros.</param>
    /// <param name="y">[length]; may be <paramref name="x"/>.</param>
    public static void Row<T>(float* x, float* weight, float* bias, float* y, int length, float epsilon)
        where T : struct, ILanes<T>
    {
        int whole = length & -16;
        T sum = T.Broadcast(0);
        for (int i = 0; i < whole; i += 16)
        {
            sum += T.Load(x + i);
        }

        if (whole < length)
        {
            sum += LaneMath.LoadFirst<T>(x + whole, length - whole);
        }

        float meanOfRow = T.Sum(sum) / length;
        T mean = T.Broadcast(meanOfRow);
        T squares = T.Broadcast(0);
        for (int i = 0; i < whole; i += 16)
        {
            T v = T.Load(x + i) - mean;
            squares = T.Fma(v, v, squares);
        }

        float sumOfSquares = T.Sum(squares);
        for (int i = whole; i < length; i++)
        {
            float v = x[i] - meanOfRow;
            sumOfSquares = MathF.FusedMultiplyAdd(v, v, sumOfSquares);
        }

        float scale = 1f / MathF.Sqrt((sumOfSquares / length) + epsilon);
        Scaling.Row<T>(x, mean, T.Broadcast(scale), weight, bias, y, length);
    }
}
