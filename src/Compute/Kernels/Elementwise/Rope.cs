using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>Which two dimensions of a head form a pair that rotates.</summary>
public enum RopePairing
{
    /// <summary>2i and 2i + 1.</summary>
    Interleaved,

    /// <summary>i and i + dimensions / 2.</summary>
    Halves,
}

/// <summary>Rotary position embedding of one head, by the factors that <see cref="RopeAngles"/> wrote for the row's position.</summary>
internal static unsafe class Rope
{
    /// <param name="x">[dimensions] of one head, rotated in place.</param>
    /// <param name="cosines">[dimensions]: the cosine at both members of a pair.</param>
    /// <param name="sines">[dimensions]: minus the sine at the first member of a pair, the sine at the second.</param>
    public static void Head<T>(RopePairing pairing, float* x, float* cosines, float* sines, int dimensions)
        where T : struct, ILanes<T>
    {
        if (pairing == RopePairing.Interleaved)
        {
            for (int i = 0; i < dimensions; i += 16)
            {
                int count = Math.Min(16, dimensions - i);
                T v = Load<T>(x + i, count);
                Store(T.Fma(T.SwapPairs(v), Load<T>(sines + i, count), v * Load<T>(cosines + i, count)), x + i, count);
            }

            return;
        }

        int half = dimensions / 2;
        for (int i = 0; i < half; i += 16)
        {
            int count = Math.Min(16, half - i);
            T first = Load<T>(x + i, count), second = Load<T>(x + half + i, count);
            Store(T.Fma(second, Load<T>(sines + i, count), first * Load<T>(cosines + i, count)), x + i, count);
            Store(T.Fma(first, Load<T>(sines + half + i, count), second * Load<T>(cosines + half + i, count)), x + half + i, count);
        }
    }

    private static T Load<T>(float* source, int count)
        where T : struct, ILanes<T>
        => count == 16 ? T.Load(source) : LaneMath.LoadFirst<T>(source, count);

    private static void Store<T>(T value, float* destination, int count)
        where T : struct, ILanes<T>
    {
        if (count == 16)
        {
            T.Store(value, destination);
        }
        else
        {
            LaneMath.StoreFirst(value, destination, count);
        }
    }
}
