namespace Lamina.Compute.Kernels.Lanes;

/// <summary>
/// Sixteen float lanes: the unit in which every kernel counts, whatever the width of the machine's registers. Kernel bodies are written once
/// against this interface; since each operation is one correctly rounded IEEE operation per lane (a fused multiply-add rounds once), and reductions across lanes
/// follow one fixed tree, all implementations give the same bits.
/// </summary>
internal unsafe interface ILanes<T>
    where T : struct, ILanes<T>
{
    /// <summary>Lanes of every implementation.</summary>
    const int Count = 16;

    static abstract T Broadcast(float value);

    static abstract T Load(float* source);

    static abstract void Store(T value, float* destination);

    /// <summary>Sixteen half-precision values; an infinity or NaN reads as a large finite value of its sign.</summary>
    static abstract T LoadHalf(ushort* source);

    /// <summary>Sixteen signed bytes.</summary>
    static abstract T LoadSByte(sbyte* source);

    /// <summary>Four bits of each of sixteen bytes from bit <paramref name="shift"/> (0 or 4) on, less 8.</summary>
    static abstract T LoadNibbles(byte* source, int shift);

    static abstract T operator +(T left, T right);

    static abstract T operator -(T left, T right);

    static abstract T operator *(T left, T right);

    static abstract T operator /(T left, T right);

    /// <summary>a × b + c, rounded once.</summary>
    static abstract T Fma(T a, T b, T c);

    /// <summary>left &gt; right ? left : right, so a NaN on either side gives the right operand.</summary>
    static abstract T Max(T left, T right);

    /// <summary>left &lt; right ? left : right, so a NaN on either side gives the right operand.</summary>
    static abstract T Min(T left, T right);

    /// <summary>left &lt; right ? whenLess : otherwise.</summary>
    static abstract T SelectLess(T left, T right, T whenLess, T otherwise);

    /// <summary>To the nearest integer, ties to even.</summary>
    static abstract T Round(T value);

    /// <summary>2^n for integral n in [-126, 127].</summary>
    static abstract T PowerOfTwo(T n);

    /// <summary>Lanes 2i and 2i + 1 exchanged.</summary>
    static abstract T SwapPairs(T value);

    /// <summary>Lane i plus lane i + 8, then i + 4, i + 2, i + 1.</summary>
    static abstract float Sum(T value);

    /// <summary>The largest lane, reduced along the tree of <see cref="Sum"/>.</summary>
    static abstract float MaxLane(T value);
}
