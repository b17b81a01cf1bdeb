using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>What a low-rank change adds to sixteen outputs of a row.</summary>
internal static unsafe class LowRank
{
    /// <summary>y[0..count) += scale × Σ low[r] × columns[r], r rising.</summary>
    /// <param name="columns">[rank × 16].</param>
    public static void Group<T>(float* columns, float* low, int rank, float scale, float* y, int count)
        where T : struct, ILanes<T>
    {
        T sum = T.Broadcast(0);
        for (int r = 0; r < rank; r++)
        {
            sum = T.Fma(T.Load(columns + (r * 16)), T.Broadcast(low[r]), sum);
        }

        T factor = T.Broadcast(scale);
        if (count == 16)
        {
            T.Store(T.Fma(sum, factor, T.Load(y)), y);
        }
        else
        {
            LaneMath.StoreFirst(T.Fma(sum, factor, LaneMath.LoadFirst<T>(y, count)), y, count);
        }
    }
}
