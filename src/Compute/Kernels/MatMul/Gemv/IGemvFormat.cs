namespace Lamina.Compute.Kernels;

/// <summary>How one input row is multiplied with a unit of packed weights, straight from the registers they are loaded to.</summary>
internal unsafe interface IGemvFormat
{
    /// <summary>64-byte vectors of a unit.</summary>
    static abstract int UnitVectors { get; }

    /// <summary>Units that one <see cref="ActivationPanel"/> covers.</summary>
    static abstract int UnitsPerPanel { get; }

    /// <summary>
    /// Adds a unit's products to 16 sums. Reads the unit front to back, both halves of a line close together: the processor's own prefetching follows only that.
    /// </summary>
    /// <param name="x">The panel of the input row.</param>
    /// <param name="unit">Index of the unit within the panel.</param>
    /// <param name="sums">f32 [16].</param>
    /// <param name="scratch">Room laid out as <see cref="WeightPanel"/>.</param>
    static abstract void Accumulate<TSimd, V>(byte* weights, byte* x, int unit, byte* sums, byte* scratch) where TSimd : ISimd<V> where V : struct;
}
