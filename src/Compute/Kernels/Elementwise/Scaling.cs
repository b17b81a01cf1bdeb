using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>The second half of both norms: y_i = (x_i - offset) × scale × weight_i + bias_i.</summary>
internal static unsafe class Scaling
{
    public static void Row<T>(float* x, T offset, T scale, float* weight, float* bias, float* y, int length)
        where T : struct, ILanes<T>
    {
        int whole = length & -16;
        for (int i = 0; i < whole; i += 16)
        {
            T v = (T.Load(x + i) - offset) * scale;
            v = weight is null ? v : v * T.Load(weight + i);
            v = bias is null ? v : v + T.Load(bias + i);
            T.Store(v, y + i);
        }

        int rest = length - whole;
        if (rest > 0)
        {
            T v = (LaneMath.LoadFirst<T>(x + whole, rest) - offset) * scale;
            v = weight is null ? v : v * LaneMath.LoadFirst<T>(weight + whole, rest);
            v = bias is null ? v : v + LaneMath.LoadFirst<T>(bias + whole, rest);
            LaneMath.StoreFirst(v, y + whole, rest);
        }
    }
}
