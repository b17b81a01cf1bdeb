using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Inputs of multiplications to signed bytes: scale = greatest magnitude / 127 of each 32 columns.</summary>
internal static class QuantiseCode
{
    /// <param name="quants">[rows][blocks × 32]; columns past the end become zeros.</param>
    /// <param name="scales">[rows][blocks].</param>
    /// <param name="sums">[rows][blocks]: scale × sum of the bytes.</param>
    [DeviceKernel]
    public static void Quantise<TTeam>(RowsView x, ArrayView<sbyte> quants, ArrayView<float> scales, ArrayView<float> sums, int rows, int columns, int blocks)
        where TTeam : struct, ITeam
    {
        for (int work = TTeam.Index; work < rows * blocks; work += TTeam.Count)
        {
            int row = work / blocks, first = work % blocks * 32;
            float greatest = 0;
            for (int k = TTeam.Lane; k < 32; k += TTeam.Size)
            {
                float value = first + k < columns ? x.Get(row, first + k) : 0;
                float magnitude = value < 0 ? -value : value;

                // A NaN or an infinity shows in every output that it reaches.
                magnitude = Intrinsics.IsFinite(value) ? magnitude : float.PositiveInfinity;
                greatest = magnitude > greatest ? magnitude : greatest;
            }

            greatest = TTeam.Max(greatest);
            bool finite = Intrinsics.IsFinite(greatest);
            float inverse = finite && greatest > 7.888609e-31f ? 127f / greatest : 0;
            float sum = 0;
            for (int k = TTeam.Lane; k < 32; k += TTeam.Size)
            {
                float value = inverse != 0 && first + k < columns ? x.Get(row, first + k) : 0;
                float quant = ((value * inverse) + 12582912f) - 12582912f;
                sum += quant;
                quants[((long)work * 32) + k] = (sbyte)(int)quant;
            }

            sum = TTeam.Sum(sum);
            if (TTeam.Lane == 0)
            {
                float scale = !finite ? float.NaN : inverse == 0 ? 0 : greatest / 127f;
                scales[work] = scale;
                sums[work] = scale * sum;
            }
        }
    }
}
