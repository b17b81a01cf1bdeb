namespace Lamina.Compute.Quantization;

/// <summary>One tensor type's block: the scalar definition that every kernel is tested against. Sizes stand in <see cref="Gguf.GgmlTypes"/>.</summary>
internal interface IBlockFormat
{
    /// <summary>Values of exactly one block.</summary>
    static abstract void Dequantize(ReadOnlySpan<byte> block, Span<float> values);
}
