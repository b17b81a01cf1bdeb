namespace Lamina.Compute.Kernels.Attention;

/// <summary>Slopes of attention with linear biases: powers of one base for the largest power of two of heads, odd powers of its root for the others.</summary>
internal static class AlibiSlopes
{
    /// <param name="bias">The largest exponent: slopes reach 2^-bias.</param>
    public static float Of(int head, int heads, float bias)
    {
        int whole = 1 << int.Log2(heads);
        return head < whole
            ? MathF.Pow(MathF.Pow(2, -bias / whole), head + 1)
            : MathF.Pow(MathF.Pow(2, -(bias / 2) / whole), (2 * (head - whole)) + 1);
    }
}
