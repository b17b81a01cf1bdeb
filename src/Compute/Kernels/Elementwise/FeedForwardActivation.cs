using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>y = f(gate, up) for a gated block, y = f(gate) for a plain one.</summary>
internal static unsafe class FeedForwardActivation
{
    /// <param name="up">[length], or null for a plain block.</param>
    /// <param name="y">[length]; may be either input.</param>
    public static void Row<T>(Activation activation, float* gate, float* up, float* y, int length)
        where T : struct, ILanes<T>
    {
        switch (activation)
        {
            case Activation.Silu:
                Row<T, Silu>(gate, up, y, length);
                break;
            case Activation.Gelu:
                Row<T, Gelu>(gate, up, y, length);
                break;
            case Activation.ReluSquared:
                Row<T, ReluSquared>(gate, up, y, length);
                break;
            default:
                Row<T, SwigluOai>(gate, up, y, length);
                break;
        }
    }

    private static void Row<T, TActivation>(float* gate, float* up, float* y, int length)
        where T : struct, ILanes<T>
        where TActivation : struct, IActivation
    {
        int whole = length & -16;
        if (up is null)
        {
            for (int i = 0; i < whole; i += 16)
            {
                T.Store(TActivation.Apply(T.Load(gate + i)), y + i);
            }
        }
        else
        {
            for (int i = 0; i < whole; i += 16)
            {
                T.Store(TActivation.Gate<T, TActivation>(T.Load(gate + i), T.Load(up + i)), y + i);
            }
        }

        int rest = length - whole;
        if (rest > 0)
        {
            T g = LaneMath.LoadFirst<T>(gate + whole, rest);
            T v = up is null ? TActivation.Apply(g) : TActivation.Gate<T, TActivation>(g, LaneMath.LoadFirst<T>(up + whole, rest));
            LaneMath.StoreFirst(v, y + whole, rest);
        }
    }
}
