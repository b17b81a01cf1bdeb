using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

internal static unsafe partial class ActivationQuantiser
{
    /// <summary>A whole panel with AVX2; bit for bit what <see cref="Quantise"/> gives.</summary>
    public static void QuantiseVector(ActivationForm form, float* source, byte* panel)
    {
        if (form == ActivationForm.SuperBlocks)
        {
            Vector256<int> greatest = Vector256<int>.Zero;
            for (int k = 0; k < ActivationPanel.Length; k += 32)
            {
                greatest = Avx2.Max(greatest, Greatest32(source + k));
            }

            (float scale, float inverse) = Scales(HorizontalMax(greatest));
            *(float*)(panel + ActivationPanel.Scale) = scale;
            Vector256<float> factor = Vector256.Create(inverse);
            for (int s = 0; s < 8; s++)
            {
                Vector256<sbyte> quants = inverse == 0 ? Vector256<sbyte>.Zero : Quantise32(source + (s * 32), factor);
                quants.Store((sbyte*)panel + (s * 32));
                // Sums of neighbouring values as int16: 16 pairs; those of even and odd index belong to different lanes of a product sum.
                Vector256<short> pairs = Avx2.MultiplyAddAdjacent(Vector256.Create((byte)1), quants);
                Vector128<short> folded = Fold(pairs);
                // folded: (low, high) of 16 values, twice: lanes 0,1 and 4,5.
                uint first = folded.AsUInt32().GetElement(0), second = folded.AsUInt32().GetElement(2);
                ((uint*)(panel + ActivationPanel.Pairs))[s * 2] = first;
                ((uint*)(panel + ActivationPanel.Pairs))[(s * 2) + 1] = second;
                int sum0 = (short)first + ((int)first >> 16), sum1 = (short)second + ((int)second >> 16);
                ((short*)(panel + ActivationPanel.Sums16))[s * 2] = (short)sum0;
                ((short*)(panel + ActivationPanel.Sums16))[(s * 2) + 1] = (short)sum1;
                ((short*)(panel + ActivationPanel.Sums32))[s] = (short)(sum0 + sum1);
            }

            return;
        }

        for (int b = 0; b < 8; b++)
        {
            float* values = source + (b * 32);
            (float scale, float inverse) = Scales(HorizontalMax(Greatest32(values)));
            Vector256<sbyte> quants = inverse == 0 ? Vector256<sbyte>.Zero : Quantise32(values, Vector256.Create(inverse));
            quants.Store((sbyte*)panel + (b * 32));
            Vector128<uint> folded = Fold(Avx2.MultiplyAddAdjacent(Vector256.Create((byte)1), quants)).AsUInt32();
            uint first = folded.GetElement(0), second = folded.GetElement(2);
            FinishBlock(panel, b, scale, (short)first + (short)second, ((int)first >> 16) + ((int)second >> 16));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Greatest32(float* source)
    {
        Vector256<int> mask = Vector256.Create(int.MaxValue);
        Vector256<int> a = Vector256.Load((int*)source) & mask, b = Vector256.Load((int*)source + 8) & mask;
        Vector256<int> c = Vector256.Load((int*)source + 16) & mask, d = Vector256.Load((int*)source + 24) & mask;
        return Avx2.Max(Avx2.Max(a, b), Avx2.Max(c, d));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int HorizontalMax(Vector256<int> values)
    {
        Vector128<int> half = Sse41.Max(values.GetLower(), values.GetUpper());
        half = Sse41.Max(half, Sse2.Shuffle(half, 0x4E));
        return Sse41.Max(half, Sse2.Shuffle(half, 0xB1)).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Quantise32(float* source, Vector256<float> factor)
    {
        Vector256<int> a = Avx.ConvertToVector256Int32(Vector256.Load(source) * factor), b = Avx.ConvertToVector256Int32(Vector256.Load(source + 8) * factor);
        Vector256<int> c = Avx.ConvertToVector256Int32(Vector256.Load(source + 16) * factor), d = Avx.ConvertToVector256Int32(Vector256.Load(source + 24) * factor);
        Vector256<sbyte> packed = Avx2.PackSignedSaturate(Avx2.PackSignedSaturate(a, b), Avx2.PackSignedSaturate(c, d));
        return Avx2.PermuteVar8x32(packed.AsInt32(), Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7)).AsSByte();
    }

    // 16 pair sums to (low, high) of each 16-value half: lanes 0 and 1 of a 64-bit half.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<short> Fold(Vector256<short> pairs)
    {
        // Within each 128-bit half (16 values): dwords hold (low, high) of 4 values each; add the four dwords.
        Vector256<short> sum = Avx2.Add(pairs, Avx2.Shuffle(pairs.AsInt32(), 0x4E).AsInt16());
        sum = Avx2.Add(sum, Avx2.Shuffle(sum.AsInt32(), 0xB1).AsInt16());
        return Sse2.UnpackLow(sum.GetLower().AsInt64(), sum.GetUpper().AsInt64()).AsInt16();
    }
}
