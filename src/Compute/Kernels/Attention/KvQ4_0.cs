using System.Runtime.CompilerServices;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>
/// Keys and values as four bits with a float scale for every 32 dimensions of a position. In a key group a byte holds dimensions 2i and 2i + 1 of one
/// position, [keyLength / 2][16], the scales [keyLength / 32][16] behind; in a value it holds dimensions i and i + 16 of a block of 32. So no two
/// positions share a byte, and rows can be stored side by side.
/// </summary>
internal readonly unsafe struct KvQ4_0 : IKvFormat
{
    private const int BlockDimensions = 32;

    public static int KeyGroupBytes(int keyLength) => KeyBytes(keyLength) + (Blocks(keyLength) * 16 * sizeof(float));

    public static int ValueBytes(int valueLength) => Blocks(valueLength) * ((BlockDimensions / 2) + sizeof(float));

    public static void StoreKey(float* key, int keyLength, byte* group, int lane)
    {
        float* scales = (float*)(group + KeyBytes(keyLength)) + lane;
        for (int d = 0; d < keyLength; d++)
        {
            float* scale = scales + (d / BlockDimensions * 16);
            if (d % BlockDimensions == 0)
            {
                *scale = Scale(key + d, Math.Min(BlockDimensions, keyLength - d));
            }

            Put(group + (d / 2 * 16) + lane, d % 2 * 4, Quantize(key[d], *scale));
        }
    }

    public static void StoreValue(float* value, int valueLength, byte* destination)
    {
        float* scales = (float*)(destination + (Blocks(valueLength) * BlockDimensions / 2));
        for (int d = 0; d < valueLength; d++)
        {
            int block = d / BlockDimensions, within = d % BlockDimensions;
            if (within == 0)
            {
                scales[block] = Scale(value + d, Math.Min(BlockDimensions, valueLength - d));
            }

            Put(destination + (block * BlockDimensions / 2) + (within % 16), within / 16 * 4, Quantize(value[d], scales[block]));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadKeys<T>(byte* group, int keyLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadNibbles(group + (dimension / 2 * 16), dimension % 2 * 4)
            * T.Load((float*)(group + KeyBytes(keyLength)) + (dimension / BlockDimensions * 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T LoadValue<T>(byte* value, int valueLength, int dimension)
        where T : struct, ILanes<T>
        => T.LoadNibbles(value + (dimension / BlockDimensions * BlockDimensions / 2), dimension % BlockDimensions / 16 * 4)
            * T.Broadcast(((float*)(value + (Blocks(valueLength) * BlockDimensions / 2)))[dimension / BlockDimensions]);

    /// <summary>The value of greatest magnitude over -8, so that it becomes the end of the range that reaches further; bounded like <see cref="KvQ8_0"/>'s.</summary>
    private static float Scale(float* values, int count)
    {
        float greatest = 0;
        for (int i = 0; i < count; i++)
        {
            greatest = Math.Abs(values[i]) > Math.Abs(greatest) ? values[i] : greatest;
        }

        return (Math.Abs(greatest) < 1e30f ? greatest : 1e30f) / -8;
    }

    private static int Quantize(float value, float scale)
    {
        float q = scale != 0 ? MathF.Round(value / scale, MidpointRounding.ToEven) + 8 : 8;
        q = q < 15 ? q : 15;
        return (int)(q > 0 ? q : 0);
    }

    private static void Put(byte* destination, int shift, int nibble) =>
        *destination = (byte)((*destination & (0xF0 >> shift)) | (nibble << shift));

    private static int KeyBytes(int keyLength) => (keyLength + 1) / 2 * 16;

    private static int Blocks(int length) => (length + BlockDimensions - 1) / BlockDimensions;
}
