namespace Lamina.Compute.Kernels;

/// <summary>
/// A register width. Kernels are written once over it: <typeparamref name="V"/> is the raw register, operations name the lanes they work on.
/// All operations work lane by lane on dwords or less, so that a body gives the same bits at every width.
/// </summary>
internal unsafe interface ISimd<V> where V : struct
{
    /// <summary>Bytes of a register: 32 or 64. A group of 16 dwords is 64 bytes wide.</summary>
    static abstract int Bytes { get; }

    static abstract V Load(void* address);
    static abstract void Store(void* address, V value);

    /// <summary>Every dword the same.</summary>
    static abstract V Broadcast(int dword);

    /// <summary>The dword at an address, in every lane.</summary>
    static abstract V BroadcastFrom(void* address);

    /// <summary>16 bytes, repeated.</summary>
    static abstract V Repeat16(long low, long high);
    static abstract V And(V a, V b);
    static abstract V Or(V a, V b);
    static abstract V ShiftLeft16(V a, int bits);
    static abstract V ShiftRight16(V a, int bits);
    static abstract V ShiftRightSigned16(V a, int bits);
    static abstract V ShiftLeft32(V a, int bits);
    static abstract V ShiftRight32(V a, int bits);
    static abstract V Add16(V a, V b);
    static abstract V Subtract16(V a, V b);
    static abstract V MultiplyLow16(V a, V b);
    static abstract V Add32(V a, V b);

    /// <summary>Bytes of each dword chosen by the low two bits of the pattern's bytes (which repeat in every 16 bytes as they stand there); a byte with its top bit set gives zero.</summary>
    static abstract V ShuffleBytes(V a, V pattern);

    /// <summary>Bytes of a 16-byte table by the low nibbles of <paramref name="indices"/>.</summary>
    static abstract V Lookup(V table, V indices);

    /// <summary>Bytes: 0xFF where equal, else 0.</summary>
    static abstract V Equal8(V a, V b);

    /// <summary>Unsigned bytes times signed bytes, neighbouring products added to int16 with saturation.</summary>
    static abstract V MultiplyAddBytes(V unsigned, V signed);

    /// <summary>int16 times int16, neighbouring products added to int32.</summary>
    static abstract V MultiplyAddShorts(V a, V b);

    /// <summary>Bytes of a, negated where b's are negative; where b is zero, anything: the second factor of a product |b| · (±a).</summary>
    static abstract V Sign8(V a, V b);
    static abstract V Abs8(V a);

    /// <summary>int32 to f32, to nearest even.</summary>
    static abstract V ToFloat(V integers);
    static abstract V Multiply(V a, V b);

    /// <summary>a · b + c with one rounding.</summary>
    static abstract V MultiplyAdd(V a, V b, V c);

    /// <summary>c − a · b with one rounding.</summary>
    static abstract V SubtractProduct(V a, V b, V c);

    /// <summary>The lower f16 of each dword as f32.</summary>
    static abstract V HalfLow(V pairs);

    /// <summary>The upper f16 of each dword as f32.</summary>
    static abstract V HalfHigh(V pairs);
}
