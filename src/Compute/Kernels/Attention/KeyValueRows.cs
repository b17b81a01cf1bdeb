namespace Lamina.Compute.Kernels.Attention;

/// <summary>New keys and values of a batch and where they go.</summary>
internal unsafe struct KeyValueRows
{
    public KvLayout Layout;

    /// <summary>[rows × kvHeads × keyLength].</summary>
    public Rows Keys;

    /// <summary>[rows × kvHeads × valueLength].</summary>
    public Rows Values;

    /// <summary>[rows].</summary>
    public int* Positions;

    /// <summary>[rows]: the block that holds the row's position.</summary>
    public int* Blocks;

    /// <summary>The layer's blocks.</summary>
    public byte* Pool;
}
