using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>y_i = x_i / sqrt(mean(x²) + epsilon) × weight_i.</summary>
internal static unsafe class RmsNorm
{
    /// <param name="weight">[length], or null for ones.</param>
    /// <param name="y">[length]; may be <paramref name="x"/>.</param>
    public static void Row<T>(float* x, float* weight, float* y, int length, float epsilon)
        where T : struct, ILanes<T>
    {
        int whole = length & -16;
        T squares = T.Broadcast(0);
        for (int i = 0; i < whole; i += 16)
        {
            T v = T.Load(x + i);
            squares = T.Fma(v, v, squares);
        }

        if (whole < length)
        {
            T v = LaneMath.LoadFirst<T>(x + whole, length - whole);
            squares = T.Fma(v, v, squares);
        }

        float scale = 1f / MathF.Sqrt((T.Sum(squares) / length) + epsilon);
        Scaling.Row<T>(x, T.Broadcast(0), T.Broadcast(scale), weight, null, y, length);
    }
}
