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
        int whole = length & -16, rest = length - whole;
        Whole<T, TActivation>(gate, up, y, whole);
        if (rest > 0)
        {
            float* lanes = stackalloc float[32];
            new Span<float>(lanes, 32).Clear();
            new ReadOnlySpan<float>(gate + whole, rest).CopyTo(new Span<float>(lanes, rest));
            if (up is not null)
            {
                new ReadOnlySpan<float>(up + whole, rest).CopyTo(new Span<float>(lanes + 16, rest));
            }

            Whole<T, TActivation>(lanes, up is null ? null : lanes + 16, lanes, 16);
            new ReadOnlySpan<float>(lanes, rest).CopyTo(new Span<float>(y + whole, rest));
        }
    }

    private static void Whole<T, TActivation>(float* gate, float* up, float* y, int length)
        where T : struct, ILanes<T>
        where TActivation : struct, IActivation
    {
        if (up is null)
        {
            Plain<T, TActivation>(gate, y, length);
        }
        else
        {
            Gated<T, TActivation>(gate, up, y, length);
        }
    }

    // One use of the activation a method: more exhaust the compiler's budget for inlining, and every operation becomes a call.
    private static void Plain<T, TActivation>(float* x, float* y, int length)
        where T : struct, ILanes<T>
        where TActivation : struct, IActivation
    {
        for (int i = 0; i < length; i += 16)
        {
            T.Store(TActivation.Apply(T.Load(x + i)), y + i);
        }
    }

    private static void Gated<T, TActivation>(float* gate, float* up, float* y, int length)
        where T : struct, ILanes<T>
        where TActivation : struct, IActivation
    {
        for (int i = 0; i < length; i += 16)
        {
            T.Store(TActivation.Gate<T, TActivation>(T.Load(gate + i), T.Load(up + i)), y + i);
        }
    }
}
