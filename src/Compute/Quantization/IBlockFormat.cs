namespace Lamina.Compute.Quantization;

/// <summary>One tensor type's block: the scalar definition that every kernel is tested against. Sizes stand in <see cref="Gguf.GgmlTypes"/>.</summary>
internal interface IBlockFormat
{
    /// <summary>Values of exactly one block.</summary>
    static abstract void Dequantize(ReadOnlySpan<byte> block, Span<float> values);
}

/// <summary>A format that can also be written.</summary>
internal interface IBlockQuantizer : IBlockFormat
{
    /// <summary>Overwrites one zeroed block.</summary>
    /// <param name="importance">How much the error of each value matters, or empty when nothing is known.</param>
    static abstract void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block);
}
