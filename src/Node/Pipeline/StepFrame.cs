using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Compute.Model;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Payload of a Step frame, little-endian. Prologue: operation words u32, rows u32, row width u32, 0 u32; the operations (u32 each); per row token, position,
/// slot, what it is asked for (i32 each; 0 nothing, 1 logits, 2 a part of an embedding); zeros up to a multiple of <see cref="Alignment"/>. Then the rows, f32 [rows × width]. A stage forwards the prologue as it came.
/// </summary>
internal static class StepFrame
{
    /// <summary>Where rows begin in a payload, so that a payload copied to aligned memory needs no second copy.</summary>
    public const int Alignment = 64;

    private const int HeaderBytes = 16;
    private const int RowBytes = 16;

    /// <summary>Bytes of the prologue of that many operation words and rows.</summary>
    public static long PrologueBytes(long operationWords, long rows) =>
        (HeaderBytes + (operationWords * 4) + (rows * RowBytes) + Alignment - 1) / Alignment * Alignment;

    /// <summary>Writes the prologue of <paramref name="step"/> into <paramref name="buffer"/>, growing it, and returns its length.</summary>
    public static int WritePrologue(Step step, int width, ref byte[] buffer)
    {
        ReadOnlySpan<int> operations = step.Operations.Words;
        int rows = step.Batch.RowCount;
        int length = checked((int)PrologueBytes(operations.Length, rows));
        if (buffer.Length < length)
        {
            Array.Clear(buffer);
            buffer = UnmovedArray.New<byte>(Math.Max(length, buffer.Length * 2));
        }

        Span<byte> prologue = buffer.AsSpan(0, length);
        BinaryPrimitives.WriteInt32LittleEndian(prologue, operations.Length);
        BinaryPrimitives.WriteInt32LittleEndian(prologue[4..], rows);
        BinaryPrimitives.WriteInt32LittleEndian(prologue[8..], width);
        BinaryPrimitives.WriteInt32LittleEndian(prologue[12..], 0);

        Span<int> words = MemoryMarshal.Cast<byte, int>(prologue[HeaderBytes..]);
        operations.CopyTo(words);
        words = words[operations.Length..];
        ReadOnlySpan<int> logitRows = step.Batch.LogitRows, embeddingRows = step.Batch.EmbeddingRows;
        for (int row = 0; row < rows; row++)
        {
            bool wantsLogits = !logitRows.IsEmpty && logitRows[0] == row;
            if (wantsLogits)
            {
                logitRows = logitRows[1..];
            }

            bool wantsEmbedding = !embeddingRows.IsEmpty && embeddingRows[0] == row;
            if (wantsEmbedding)
            {
                embeddingRows = embeddingRows[1..];
            }

            words[0] = step.Batch.Tokens[row];
            words[1] = step.Batch.Positions[row];
            words[2] = step.Batch.Slots[row];
            words[3] = wantsLogits ? 1 : wantsEmbedding ? 2 : 0;
            words = words[4..];
        }

        words.Clear();
        return length;
    }

    /// <summary>
    /// Fills <paramref name="step"/> from a payload and returns where its rows begin. Throws <see cref="InvalidDataException"/> unless every length fits the payload to the
    /// byte. Slots, blocks, positions and tokens are checked by <see cref="StageExecutor"/>.
    /// </summary>
    public static int Read(ReadOnlySpan<byte> payload, int number, int width, Step step)
    {
        step.Clear();
        if (payload.Length < HeaderBytes)
        {
            throw new InvalidDataException($"step frame of {payload.Length} bytes, expected at least {HeaderBytes}");
        }

        uint operationWords = BinaryPrimitives.ReadUInt32LittleEndian(payload);
        uint rows = BinaryPrimitives.ReadUInt32LittleEndian(payload[4..]);
        uint frameWidth = BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]);
        uint reserved = BinaryPrimitives.ReadUInt32LittleEndian(payload[12..]);
        if (rows > step.Batch.MaxRows)
        {
            throw new InvalidDataException($"step of {rows} rows, the stage was planned for {step.Batch.MaxRows}");
        }

        if (frameWidth != width || reserved != 0)
        {
            throw new InvalidDataException($"step with rows of {frameWidth} values (and {reserved}), the model has {width} (and 0)");
        }

        long prologue = PrologueBytes(operationWords, rows);
        long expected = prologue + ((long)rows * width * sizeof(float));
        if (payload.Length != expected)
        {
            throw new InvalidDataException($"step frame of {payload.Length} bytes, expected {expected}");
        }

        ReadOnlySpan<int> words = MemoryMarshal.Cast<byte, int>(payload[HeaderBytes..(int)prologue]);
        step.Number = number;
        step.Operations.Load(words[..(int)operationWords]);
        words = words[(int)operationWords..];
        for (int row = 0; row < rows; row++)
        {
            if (words[3] is < 0 or > 2)
            {
                throw new InvalidDataException($"step row {row} has flags {words[3]}, expected 0 to 2");
            }

            step.Batch.Add(words[0], words[1], words[2], words[3] == 1, words[3] == 2);
            words = words[4..];
        }

        return (int)prologue;
    }
}
