using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels.Lanes;

/// <summary>Functions of sixteen lanes, and the loads and stores of a row's last, incomplete group.</summary>
internal static unsafe class LaneMath
{
    /// <summary>The first <paramref name="count"/> values, zeros behind them.</summary>
    public static T LoadFirst<T>(float* source, int count)
        where T : struct, ILanes<T>
    {
        float* lanes = stackalloc float[16];
        Unsafe.CopyBlockUnaligned(lanes, source, (uint)count * sizeof(float));
        return T.Load(lanes);
    }

    public static void StoreFirst<T>(T value, float* destination, int count)
        where T : struct, ILanes<T>
    {
        float* lanes = stackalloc float[16];
        T.Store(value, lanes);
        Unsafe.CopyBlockUnaligned(destination, lanes, (uint)count * sizeof(float));
    }

    /// <summary>e^x with a relative error below 3e-7; exactly 0 below -87, bounded by e^88 above. A NaN gives 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Exp<T>(T x)
        where T : struct, ILanes<T>
    {
        T lowest = T.Broadcast(-87f);
        T bounded = T.Min(T.Max(x, lowest), T.Broadcast(88f));

        // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, so that r keeps its precision.
        T n = T.Round(bounded * T.Broadcast(1.44269504f));
        T r = T.Fma(n, T.Broadcast(-0.693359375f), bounded);
        r = T.Fma(n, T.Broadcast(2.12194440e-4f), r);

        T p = T.Broadcast(1f / 5040);
        p = T.Fma(p, r, T.Broadcast(1f / 720));
        p = T.Fma(p, r, T.Broadcast(1f / 120));
        p = T.Fma(p, r, T.Broadcast(1f / 24));
        p = T.Fma(p, r, T.Broadcast(1f / 6));
        p = T.Fma(p, r, T.Broadcast(0.5f));
        p = T.Fma(p, r, T.Broadcast(1f));
        p = T.Fma(p, r, T.Broadcast(1f));
        return T.SelectLess(lowest, x, p * T.PowerOfTwo(n), T.Broadcast(0));
    }

    /// <summary>1 / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Sigmoid<T>(T x)
        where T : struct, ILanes<T>
        => T.Broadcast(1f) / (T.Broadcast(1f) + Exp(T.Broadcast(0) - x));

    /// <summary>tanh x = 1 - 2 / (e^2x + 1), with an absolute error below 2e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Tanh<T>(T x)
        where T : struct, ILanes<T>
    {
        T one = T.Broadcast(1f);
        return one - (T.Broadcast(2f) / (Exp(x + x) + one));
    }
}
