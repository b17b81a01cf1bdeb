using System.Runtime.CompilerServices;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>Keys and values in half precision; what it cannot hold is stored as its largest value.</summary>
internal readonly unsafe struct KvF16 : IKvFormat
{
    public static int KeyGroupBytes(int keyLength) => keyLength * 16 * sizeof(ushort);

    public static int ValueBytes(int valueLength) => (valueLength + 15) / 16 * 16 * sizeof(ushort);

    public static void StoreKey(float* key, int keyLength, byte* group, int lane)
    {
        ushort* destination = (ushort*)group + lane;
        for (int d = 0; d < keyLength; d++)
        {
            destination[d * 16] = HalfBits.FromSingle(key[d]);
        }
    }

    public static void StoreValue(float* value, int valueLength, byte* destination)
    {
        for (int d = 0; d < valueLength; d++)
        {
            ((ushort*)destination)[d] = HalfBits.FromSingle(value[d]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadKeys<T>(byte* group, int keyLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadHalf((ushort*)group + (dimension * 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadValue<T>(byte* value, int valueLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadHalf((ushort*)value + dimension);
}
