using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>Probabilities of a router: few values, one row.</summary>
internal static unsafe class Softmax
{
    /// <summary>x_i = e^(x_i - max) / sum.</summary>
    public static void Row<T>(float* x, int length)
        where T : struct, ILanes<T>
    {
        float max = float.NegativeInfinity;
        for (int i = 0; i < length; i++)
        {
            max = x[i] > max ? x[i] : max;
        }

        int whole = length & -16;
        T offset = T.Broadcast(max);
        T sum = T.Broadcast(0);
        for (int i = 0; i < whole; i += 16)
        {
            T e = LaneMath.Exp(T.Load(x + i) - offset);
            T.Store(e, x + i);
            sum += e;
        }

        float total = T.Sum(sum);
        if (whole < length)
        {
            LaneMath.StoreFirst(LaneMath.Exp(LaneMath.LoadFirst<T>(x + whole, length - whole) - offset), x + whole, length - whole);
            for (int i = whole; i < length; i++)
            {
                total += x[i];
            }
        }

        for (int i = 0; i < length; i++)
        {
            x[i] /= total;
        }
    }

    /// <summary>x_i = 1 / (1 + e^-x_i).</summary>
    public static void Sigmoid<T>(float* x, int length)
        where T : struct, ILanes<T>
    {
        for (int i = 0; i < length; i += 16)
        {
            int count = Math.Min(16, length - i);
            LaneMath.StoreFirst(LaneMath.Sigmoid(LaneMath.LoadFirst<T>(x + i, count)), x + i, count);
        }
    }
}
