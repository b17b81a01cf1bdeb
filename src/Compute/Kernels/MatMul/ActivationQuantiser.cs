using System.Runtime.CompilerServices;

namespace Lamina.Compute.Kernels;

/// <summary>
/// f32 to int8 panels (<see cref="ActivationPanel"/>): scale = greatest magnitude / 127, values rounded to the nearest even. A stretch that holds a NaN or an
/// infinity becomes zeros with a scale of NaN, which shows in every output; one whose magnitudes are all below 2^-100 becomes zeros.
/// </summary>
internal static unsafe partial class ActivationQuantiser
{
    internal const float Smallest = 7.888609e-31f;

    /// <summary>The scalar definition. Values past <paramref name="count"/> count as zeros.</summary>
    public static void Quantise(ActivationForm form, float* source, int count, byte* panel)
    {
        float* padded = stackalloc float[ActivationPanel.Length];
        new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(padded, count));
        new Span<float>(padded + count, ActivationPanel.Length - count).Clear();
        if (form == ActivationForm.SuperBlocks)
        {
            *(float*)(panel + ActivationPanel.Scale) = QuantiseRange(padded, ActivationPanel.Length, (sbyte*)panel);
            SuperBlockSums((sbyte*)panel, panel);
            return;
        }

        for (int b = 0; b < 8; b++)
        {
            sbyte* block = (sbyte*)panel + (b * 32);
            float scale = QuantiseRange(padded + (b * 32), 32, block);
            int low = 0, high = 0;
            for (int k = 0; k < 32; k += 4)
            {
                low += block[k] + block[k + 1];
                high += block[k + 2] + block[k + 3];
            }

            FinishBlock(panel, b, scale, low, high);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FinishBlock(byte* panel, int block, float scale, int low, int high)
    {
        ((float*)(panel + ActivationPanel.BlockScales))[block] = scale;
        short* pair = (short*)(panel + ActivationPanel.BlockPairs) + (block * 2);
        pair[0] = (short)low;
        pair[1] = (short)high;
        ((float*)(panel + ActivationPanel.BlockSums))[block] = scale * (low + high);
    }

    private static float QuantiseRange(float* source, int count, sbyte* quants)
    {
        int greatest = 0;
        for (int k = 0; k < count; k++)
        {
            greatest = Math.Max(greatest, BitConverter.SingleToInt32Bits(source[k]) & int.MaxValue);
        }

        (float scale, float inverse) = Scales(greatest);
        for (int k = 0; k < count; k++)
        {
            quants[k] = inverse == 0 ? (sbyte)0 : (sbyte)MathF.Round(source[k] * inverse);
        }

        return scale;
    }

    /// <summary>Scale and its inverse for a greatest magnitude given by its bits; an inverse of 0 asks for zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (float Scale, float Inverse) Scales(int greatestBits)
    {
        float greatest = BitConverter.Int32BitsToSingle(greatestBits);
        if (greatestBits >= 0x7F800000)
        {
            return (float.NaN, 0);
        }

        return greatest < Smallest ? (0, 0) : (greatest / 127f, 127f / greatest);
    }

    private static void SuperBlockSums(sbyte* quants, byte* panel)
    {
        short* pairs = (short*)(panel + ActivationPanel.Pairs);
        short* sums16 = (short*)(panel + ActivationPanel.Sums16);
        short* sums32 = (short*)(panel + ActivationPanel.Sums32);
        for (int s = 0; s < 16; s++, quants += 16)
        {
            int low = 0, high = 0;
            for (int k = 0; k < 16; k += 4)
            {
                low += quants[k] + quants[k + 1];
                high += quants[k + 2] + quants[k + 3];
            }

            pairs[s * 2] = (short)low;
            pairs[(s * 2) + 1] = (short)high;
            sums16[s] = (short)(low + high);
        }

        for (int s = 0; s < 8; s++)
        {
            sums32[s] = (short)(sums16[s * 2] + sums16[(s * 2) + 1]);
        }
    }
}
