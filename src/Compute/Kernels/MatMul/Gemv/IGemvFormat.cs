namespace Lamina.Compute.Kernels;

/// <summary>How one input row is multiplied with a unit of packed weights, straight from the registers they are loaded to.</summary>
internal unsafe interface IGemvFormat
{
    /// <summary>64-byte vectors of a unit.</summary>
    static abstract int UnitVectors { get; }

    /// <summary>Units that one <see cref="ActivationPanel"/> covers.</summary>
    static abstract int UnitsPerPanel { get; }

    /// <summary>Adds a unit's products to the sums of <typeparamref name="TSimd"/>'s lanes.</summary>
    /// <param name="weights">The unit's first vector; when registers are narrower than vectors, the half that belongs to these lanes.</param>
    /// <param name="x">The panel of the input row.</param>
    /// <param name="unit">Index of the unit within the panel.</param>
    static abstract V Accumulate<TSimd, V>(byte* weights, byte* x, int unit, V sums) where TSimd : ISimd<V> where V : struct;
}
