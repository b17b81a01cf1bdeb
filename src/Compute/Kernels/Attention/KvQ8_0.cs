using System.Runtime.CompilerServices;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>
/// Keys and values as signed bytes with a float scale for every 32 dimensions of a position. A key group holds the bytes [keyLength][16], then the scales
/// [keyLength / 32][16]; a value its bytes, then its scales.
/// </summary>
internal readonly unsafe struct KvQ8_0 : IKvFormat
{
    private const int BlockDimensions = 32;

    public static int KeyGroupBytes(int keyLength) => (keyLength * 16) + (Blocks(keyLength) * 16 * sizeof(float));

    public static int ValueBytes(int valueLength) => Padded(valueLength) + (Blocks(valueLength) * sizeof(float));

    public static void StoreKey(float* key, int keyLength, byte* group, int lane)
    {
        float* scales = (float*)(group + (keyLength * 16)) + lane;
        for (int d = 0; d < keyLength; d++)
        {
            if (d % BlockDimensions == 0)
            {
                scales[d / BlockDimensions * 16] = Scale(key + d, Math.Min(BlockDimensions, keyLength - d));
            }

            ((sbyte*)group)[(d * 16) + lane] = Quantize(key[d], scales[d / BlockDimensions * 16]);
        }
    }

    public static void StoreValue(float* value, int valueLength, byte* destination)
    {
        float* scales = (float*)(destination + Padded(valueLength));
        for (int d = 0; d < valueLength; d++)
        {
            if (d % BlockDimensions == 0)
            {
                scales[d / BlockDimensions] = Scale(value + d, Math.Min(BlockDimensions, valueLength - d));
            }

            ((sbyte*)destination)[d] = Quantize(value[d], scales[d / BlockDimensions]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadKeys<T>(byte* group, int keyLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadSByte((sbyte*)group + (dimension * 16)) * T.Load((float*)(group + (keyLength * 16)) + (dimension / BlockDimensions * 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadValue<T>(byte* value, int valueLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadSByte((sbyte*)value + dimension) * T.Broadcast(((float*)(value + Padded(valueLength)))[dimension / BlockDimensions]);

    /// <summary>Largest magnitude / 127; bounded, so that a NaN or an infinity does not outlive its position.</summary>
    private static float Scale(float* values, int count)
    {
        float largest = 0;
        for (int i = 0; i < count; i++)
        {
            float magnitude = Math.Abs(values[i]);
            largest = magnitude > largest ? magnitude : largest;
        }

        return (largest < 1e30f ? largest : 1e30f) / 127;
    }

    private static sbyte Quantize(float value, float scale)
    {
        float q = scale > 0 ? MathF.Round(value / scale, MidpointRounding.ToEven) : 0;
        q = q < 127 ? q : 127;
        return (sbyte)(q > -127 ? q : -127);
    }

    private static int Padded(int length) => (length + 15) / 16 * 16;

    private static int Blocks(int length) => (length + BlockDimensions - 1) / BlockDimensions;
}
