using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Synthesis;

/// <summary>
/// Quantised blocks of random values, made once and dealt out by counter: a large tensor gets the value distribution of a quantised one at the speed of copying.
/// </summary>
internal sealed class BlockPool
{
    private const int Values = 1 << 18;
    private readonly byte[] blocks;
    private readonly int pieceBytes;
    private readonly int pieceElements;
    private readonly int count;

    public BlockPool(GgmlType type, SyntheticTensor distribution, ulong seed)
    {
        // Pieces of at least 32 values, also of types without blocks.
        pieceElements = Math.Max(32, GgmlTypes.BlockElements(type));
        pieceBytes = (int)GgmlTypes.ByteLength(type, pieceElements);
        count = Values / pieceElements;
        var values = new float[Values];
        new CounterNormal(seed, $"pool {type} {distribution}").Fill(values, 0, distribution.Deviation, distribution.Mean);
        blocks = new byte[count * pieceBytes];
        Quantizer.FromF32(type, values, blocks);
    }

    public int PieceElements => pieceElements;

    /// <summary>Writes the pieces [first, ...) of a stream until <paramref name="destination"/> is full.</summary>
    public void Deal(CounterNormal random, long first, Span<byte> destination)
    {
        for (int i = 0; i * pieceBytes < destination.Length; i++)
        {
            int piece = (int)(random.Bits(first + i) >> 32) & (count - 1);
            blocks.AsSpan(piece * pieceBytes, pieceBytes).CopyTo(destination[(i * pieceBytes)..]);
        }
    }
}
