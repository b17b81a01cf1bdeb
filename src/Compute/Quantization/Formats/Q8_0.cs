using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, then 32 signed bytes. x = d q.</summary>
internal readonly struct Q8_0 : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> quants = block.Slice(2, 32);
        for (int i = 0; i < 32; i++)
        {
            values[i] = (sbyte)quants[i] * d;
        }
    }
}
