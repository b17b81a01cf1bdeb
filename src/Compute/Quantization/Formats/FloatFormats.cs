using System.Runtime.InteropServices;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>The unquantised types, little-endian.</summary>
internal static class FloatFormats
{
    public static void FromF32(ReadOnlySpan<byte> source, Span<float> destination) => source.CopyTo(MemoryMarshal.AsBytes(destination));

    public static void FromF16(ReadOnlySpan<byte> source, Span<float> destination)
    {
        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(source);
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = (float)halves[i];
        }
    }

    /// <summary>BF16 is the upper half of an F32.</summary>
    public static void FromBF16(ReadOnlySpan<byte> source, Span<float> destination)
    {
        ReadOnlySpan<ushort> halves = MemoryMarshal.Cast<byte, ushort>(source);
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }
    }
}
