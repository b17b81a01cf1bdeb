namespace Lamina.Compute.Kernels;

/// <summary>
/// Byte offsets of a worker's scratch: 256 columns of 16 rows, unpacked to bytes once and then met by every input row. Vectors of 64 bytes, a dword a row.
/// </summary>
internal static class WeightPanel
{
    /// <summary>64 vectors, four consecutive columns a dword, unsigned bytes with the type's offset added; or 128 vectors, two columns a dword, int16.</summary>
    public const int Quants = 0;

    /// <summary>Super-blocks: a fold's integer scale as both int16 of the dword, up to 16 vectors.</summary>
    public const int Scales = 8192;

    /// <summary>Super-blocks: pairs of minimums, up to 8 vectors.</summary>
    public const int Mins = Scales + (16 * 64);

    /// <summary>f32 scales: of 8 blocks, or one of a super-block.</summary>
    public const int D = Mins + (8 * 64);

    /// <summary>f32 minimums, or their scale.</summary>
    public const int M = D + (8 * 64);
    public const int Bytes = M + (8 * 64);
}
