namespace Lamina.Compute.Kernels;

/// <summary>How one input row, or a few, are multiplied with a unit of packed weights, straight from the registers they are loaded to.</summary>
internal unsafe interface IGemvFormat
{
    /// <summary>64-byte vectors of a unit.</summary>
    static abstract int UnitVectors { get; }

    /// <summary>Units that one <see cref="ActivationPanel"/> covers.</summary>
    static abstract int UnitsPerPanel { get; }

    /// <summary>Input rows up to which this is faster than unpacking to a <see cref="WeightPanel"/> first, as measured; at most <see cref="GemvJob{TFormat, TSimd, V}.MaxRows"/>.</summary>
    static abstract int MaxRows { get; }

    /// <summary>
    /// Adds a unit's products to 16 sums. Reads the unit front to back, both halves of a line close together: the processor's own prefetching follows only that.
    /// </summary>
    /// <param name="x">The panel of the input row.</param>
    /// <param name="unit">Index of the unit within the panel.</param>
    /// <param name="sums">f32 [16].</param>
    /// <param name="scratch">Room laid out as <see cref="WeightPanel"/>.</param>
    static abstract void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct;

    /// <summary>
    /// Adds a unit's products with two input rows, each with the bits that <see cref="Accumulate"/> gives: weights are read and unpacked once for both, and where a group
    /// takes two registers, values are broadcast once for both.
    /// </summary>
    /// <param name="x">The panel of the first input row; the second's follows.</param>
    /// <param name="sums">f32 [2 × 16].</param>
    static abstract void AccumulateTwo<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct;
}
