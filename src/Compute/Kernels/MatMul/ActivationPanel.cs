namespace Lamina.Compute.Kernels;

/// <summary>
/// Byte offsets within a panel: 256 quantised values of one input row with their scales and the sums that weights with an offset or a minimum need.
/// Panels lie [panel][row], so that a tile of rows reads one stretch.
/// </summary>
internal static class ActivationPanel
{
    public const int Length = 256;
    public const int Bytes = 384;

    /// <summary>Blocks: 8 f32 scales.</summary>
    public const int BlockScales = 256;

    /// <summary>Blocks: per block a pair of int16, the sums of the values with k mod 4 below 2 and from 2 on: what each int16 lane of a product sum has seen.</summary>
    public const int BlockPairs = 288;

    /// <summary>Blocks: 8 f32, scale times the sum of the values.</summary>
    public const int BlockSums = 320;

    /// <summary>Super-blocks: per 16 values a pair of int16 as in <see cref="BlockPairs"/>.</summary>
    public const int Pairs = 256;

    /// <summary>Super-blocks: int16 sums of 16 values, 16 of them.</summary>
    public const int Sums16 = 320;

    /// <summary>Super-blocks: int16 sums of 32 values, 8 of them.</summary>
    public const int Sums32 = 352;

    /// <summary>Super-blocks: the f32 scale.</summary>
    public const int Scale = 368;
}
