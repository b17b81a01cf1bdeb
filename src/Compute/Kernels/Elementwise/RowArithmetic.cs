using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>Sums, multiples and soft caps of a row.</summary>
internal static unsafe class RowArithmetic
{
    /// <summary>y += scale × x.</summary>
    public static void Add<T>(float* x, float scale, float* y, int length)
        where T : struct, ILanes<T>
    {
        T factor = T.Broadcast(scale);
        int whole = length & -16;
        for (int i = 0; i < whole; i += 16)
        {
            T.Store(T.Fma(T.Load(x + i), factor, T.Load(y + i)), y + i);
        }

        for (int i = whole; i < length; i++)
        {
            y[i] = MathF.FusedMultiplyAdd(x[i], scale, y[i]);
        }
    }

    /// <summary>x *= scale.</summary>
    public static void Scale<T>(float* x, float scale, int length)
        where T : struct, ILanes<T>
    {
        T factor = T.Broadcast(scale);
        int whole = length & -16;
        for (int i = 0; i < whole; i += 16)
        {
            T.Store(T.Load(x + i) * factor, x + i);
        }

        for (int i = whole; i < length; i++)
        {
            x[i] *= scale;
        }
    }

    /// <summary>x = cap × tanh(x / cap).</summary>
    public static void SoftCap<T>(float* x, float cap, int length)
        where T : struct, ILanes<T>
    {
        int whole = length & -16;
        for (int i = 0; i < whole; i += 16)
        {
            T.Store(SoftCap(T.Load(x + i), cap), x + i);
        }

        if (whole < length)
        {
            LaneMath.StoreFirst(SoftCap(LaneMath.LoadFirst<T>(x + whole, length - whole), cap), x + whole, length - whole);
        }
    }

    public static T SoftCap<T>(T x, float cap)
        where T : struct, ILanes<T>
        => T.Broadcast(cap) * LaneMath.Tanh(x * T.Broadcast(1f / cap));

    /// <summary>x bounded to [-limit, limit].</summary>
    public static void Clamp(float* x, float limit, int length)
    {
        for (int i = 0; i < length; i++)
        {
            float bounded = x[i] < limit ? x[i] : limit;
            x[i] = bounded > -limit ? bounded : -limit;
        }
    }
}
