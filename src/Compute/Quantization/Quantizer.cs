using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization.Formats;

namespace Lamina.Compute.Quantization;

/// <summary>F32 to tensor bytes: those of llama-quantize, or for the narrowest types as good ones.</summary>
public static class Quantizer
{
    public static bool Supports(GgmlType type) => type is GgmlType.F32 or GgmlType.F16 or GgmlType.BF16 || BlockEncoder(type) is not null;

    /// <summary>Encodes whole blocks into exactly the bytes that they take.</summary>
    /// <param name="importance">One positive weight per column (an importance matrix's row), or empty; <paramref name="source"/> must then hold whole rows of that length.</param>
    public static void FromF32(GgmlType type, ReadOnlySpan<float> source, Span<byte> destination, ReadOnlySpan<float> importance = default)
    {
        if (!Supports(type))
        {
            throw new NotSupportedException($"tensors cannot be converted to type {type}");
        }

        long expected = GgmlTypes.ByteLength(type, source.Length);
        if (destination.Length != expected)
        {
            throw new ArgumentException($"{source.Length} values of {type} take {expected} bytes, {destination.Length} were given", nameof(destination));
        }

        switch (type)
        {
            case GgmlType.F32:
                FloatFormats.ToF32(source, destination);
                break;
            case GgmlType.F16:
                FloatFormats.ToF16(source, destination);
                break;
            case GgmlType.BF16:
                FloatFormats.ToBF16(source, destination);
                break;
            default:
                int blockElements = GgmlTypes.BlockElements(type);
                if (!importance.IsEmpty && (source.Length % importance.Length != 0 || importance.Length % blockElements != 0))
                {
                    throw new ArgumentException($"{source.Length} values are no whole rows of the {importance.Length} columns of the importance matrix", nameof(importance));
                }

                destination.Clear();
                BlockEncoder(type)!(source, importance, destination, GgmlTypes.BlockBytes(type), blockElements);
                break;
        }
    }

    private delegate void Encoder(ReadOnlySpan<float> source, ReadOnlySpan<float> importance, Span<byte> destination, int blockBytes, int blockElements);

    private static Encoder? BlockEncoder(GgmlType type) => type switch
    {
        GgmlType.Q4_0 => Blocks<Q4_0>,
        GgmlType.Q4_1 => Blocks<Q4_1>,
        GgmlType.Q5_0 => Blocks<Q5_0>,
        GgmlType.Q5_1 => Blocks<Q5_1>,
        GgmlType.Q8_0 => Blocks<Q8_0>,
        GgmlType.Q2_K => Blocks<Q2_K>,
        GgmlType.Q3_K => Blocks<Q3_K>,
        GgmlType.Q4_K => Blocks<Q4_K>,
        GgmlType.Q5_K => Blocks<Q5_K>,
        GgmlType.Q6_K => Blocks<Q6_K>,
        GgmlType.IQ1_S => Blocks<IQ1_S>,
        GgmlType.IQ1_M => Blocks<IQ1_M>,
        GgmlType.IQ2_XXS => Blocks<IQ2_XXS>,
        GgmlType.IQ2_XS => Blocks<IQ2_XS>,
        GgmlType.IQ2_S => Blocks<IQ2_S>,
        GgmlType.IQ3_XXS => Blocks<IQ3_XXS>,
        GgmlType.IQ3_S => Blocks<IQ3_S>,
        GgmlType.IQ4_NL => Blocks<IQ4_NL>,
        GgmlType.IQ4_XS => Blocks<IQ4_XS>,
        GgmlType.TQ1_0 => Blocks<TQ1_0>,
        GgmlType.TQ2_0 => Blocks<TQ2_0>,
        GgmlType.MXFP4 => Blocks<MXFP4>,
        _ => null,
    };

    private static void Blocks<T>(ReadOnlySpan<float> source, ReadOnlySpan<float> importance, Span<byte> destination, int blockBytes, int blockElements)
        where T : struct, IBlockQuantizer
    {
        int blocks = source.Length / blockElements;
        int blocksPerRow = importance.Length / blockElements;
        for (int i = 0; i < blocks; i++)
        {
            ReadOnlySpan<float> weights = importance.IsEmpty ? default : importance.Slice(i % blocksPerRow * blockElements, blockElements);
            T.Quantize(source.Slice(i * blockElements, blockElements), weights, destination.Slice(i * blockBytes, blockBytes));
        }
    }
}
