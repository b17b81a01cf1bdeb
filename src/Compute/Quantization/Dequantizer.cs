using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization.Formats;

namespace Lamina.Compute.Quantization;

/// <summary>Tensor bytes to f32, exactly as the format defines it.</summary>
public static class Dequantizer
{
    /// <summary>True for the types that <see cref="ToF32"/> takes: all floating point and quantised ones that models are stored in.</summary>
    public static bool Supports(GgmlType type) => type is GgmlType.F32 or GgmlType.F16 or GgmlType.BF16 || BlockDecoder(type) is not null;

    /// <summary>Decodes whole blocks: <paramref name="source"/> must hold exactly the bytes of <paramref name="destination"/>'s length. Throws <see cref="NotSupportedException"/> for other types.</summary>
    public static void ToF32(GgmlType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        if (!Supports(type))
        {
            throw new NotSupportedException($"tensors of type {type} cannot be converted to F32");
        }

        long expected = GgmlTypes.ByteLength(type, destination.Length);
        if (source.Length != expected)
        {
            throw new ArgumentException($"{destination.Length} values of {type} take {expected} bytes, {source.Length} were given", nameof(source));
        }

        switch (type)
        {
            case GgmlType.F32:
                FloatFormats.FromF32(source, destination);
                break;
            case GgmlType.F16:
                FloatFormats.FromF16(source, destination);
                break;
            case GgmlType.BF16:
                FloatFormats.FromBF16(source, destination);
                break;
            default:
                BlockDecoder(type)!(source, destination, GgmlTypes.BlockBytes(type), GgmlTypes.BlockElements(type));
                break;
        }
    }

    private delegate void Decoder(ReadOnlySpan<byte> source, Span<float> destination, int blockBytes, int blockElements);

    private static Decoder? BlockDecoder(GgmlType type) => type switch
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

    private static void Blocks<T>(ReadOnlySpan<byte> source, Span<float> destination, int blockBytes, int blockElements)
        where T : struct, IBlockFormat
    {
        for (; !destination.IsEmpty; source = source[blockBytes..], destination = destination[blockElements..])
        {
            T.Dequantize(source[..blockBytes], destination[..blockElements]);
        }
    }
}
