using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>
/// How keys and values lie in the cache. Keys of 16 positions form a group, transposed, so that a lane is a position: [keyLength][16]. A value is a row
/// of its own, padded to whole groups of 16 dimensions.
/// </summary>
internal unsafe interface IKvFormat
{
    /// <summary>Bytes of the keys of 16 positions of one head.</summary>
    static abstract int KeyGroupBytes(int keyLength);

    /// <summary>Bytes of one position's value of one head.</summary>
    static abstract int ValueBytes(int valueLength);

    /// <summary>Writes one position's key into lane <paramref name="lane"/> of its group.</summary>
    static abstract void StoreKey(float* key, int keyLength, byte* group, int lane);

    static abstract void StoreValue(float* value, int valueLength, byte* destination);

    /// <summary>Dimension <paramref name="dimension"/> of a group's sixteen keys.</summary>
    static abstract T LoadKeys<T>(byte* group, int keyLength, int dimension)
        where T : struct, ILanes<T>;

    /// <summary>Sixteen dimensions of a value from <paramref name="dimension"/> on, a multiple of 16.</summary>
    static abstract T LoadValue<T>(byte* value, int valueLength, int dimension)
        where T : struct, ILanes<T>;
}
