using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>
/// y = x · Wᵀ. For a given weight row and input row the output has the same bits in every variant, for any number of input rows, workers and tiles: products of
/// a block are summed exactly in integers, and blocks are added in rising column order, one fused multiply-add each.
/// </summary>
public static unsafe class MatMul
{
    /// <summary>Multiplies every input row.</summary>
    /// <param name="y">f32 [input rows × weight rows].</param>
    /// <param name="yStride">Distance between output rows, in floats.</param>
    public static void Multiply(WorkerTeam team, WeightMatrix weights, ActivationRows x, float* y, nint yStride) =>
        Multiply(team, weights, x, null, x.Rows, y, yStride);

    /// <summary>Multiplies the input rows <paramref name="rows"/>[0..count), as an expert does with the tokens sent to it; output row i belongs to input row rows[i].</summary>
    /// <param name="rows">Null for all rows in order.</param>
    public static void Multiply(WorkerTeam team, WeightMatrix weights, ActivationRows x, int* rows, int count, float* y, nint yStride)
    {
        if (x.Columns != weights.Columns)
        {
            throw new ArgumentException($"a matrix of {weights.Columns} columns cannot take rows of {x.Columns} values");
        }

        if (count == 0)
        {
            return;
        }

        byte* panels = weights.Form == ActivationForm.Float ? null : rows is null ? x.Quantised(team, weights.Form) : x.Gathered(team, weights.Form, rows, count);
        new MatMulTask(weights, x, panels, rows, count, y, yStride).Run(team);
    }
}
