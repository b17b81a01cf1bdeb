namespace Lamina.Compute.Kernels;

/// <summary>How a weight type becomes a <see cref="WeightPanel"/>, and what the multiplication with it must know; all constants of the compiled code.</summary>
internal unsafe interface IPanelFormat
{
    /// <summary>64-byte vectors of a packed unit.</summary>
    static abstract int UnitVectors { get; }
    static abstract int UnitsPerPanel { get; }

    /// <summary>True for an integer scale per sub-block and one float scale per 256 columns, false for a float scale per 32.</summary>
    static abstract bool SuperBlock { get; }

    /// <summary>True when weights need a sign and all eight bits: they are unpacked to int16, an integer scale multiplied in.</summary>
    static abstract bool Wide { get; }

    /// <summary>Columns whose products an int16 can sum, in fours: 4 or 8.</summary>
    static abstract int FoldQuads { get; }

    /// <summary>What was added to unsigned weights.</summary>
    static abstract int Offset { get; }

    /// <summary>Vectors of pairs of minimums: 0, 4 (sums of 32 columns) or 8 (sums of 16) for super-blocks; 0 or 1 for blocks.</summary>
    static abstract int MinVectors { get; }

    /// <summary>Unpacks one unit. Pointers already stand on the half that the lanes belong to when registers are narrower than vectors.</summary>
    static abstract void Unpack<TSimd, V>(byte* weights, int unit, byte* panel) where TSimd : ISimd<V> where V : struct;
}
