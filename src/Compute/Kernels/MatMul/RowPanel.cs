namespace Lamina.Compute.Kernels;

/// <summary>
/// 256 weights of one row as the scalar definition sees them (fewer at a row's end, then padded with zeros).
/// Blocks: weight k = D[k/32] · Values[k] + M[k/32]. Super-blocks: weight k = D[0] · Scales[k/16] · Values[k] − M[0] · Mins[k/16].
/// </summary>
internal unsafe struct RowPanel
{
    public const int Length = 256;

    public fixed short Values[Length];
    public fixed short Scales[16];
    public fixed short Mins[16];
    public fixed float D[8];
    public fixed float M[8];
}
