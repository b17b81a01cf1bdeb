using System.Buffers;
using System.Text;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>
/// GPT-2's alphabet: every byte has a printable character, so that byte strings can be written as text. Printable ASCII and Latin-1 stand for themselves,
/// the remaining 68 bytes, in order, for U+0100 and on.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly short[] ByteOfChar = Build();

    /// <summary>Writes the bytes that a text stands for; false when it has characters outside the alphabet.</summary>
    /// <param name="bytes">At least as long as the text.</param>
    public static bool TryDecode(ReadOnlySpan<byte> utf8, Span<byte> bytes, out int written)
    {
        written = 0;
        while (!utf8.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(utf8, out Rune rune, out int consumed) != OperationStatus.Done
                || rune.Value >= ByteOfChar.Length || ByteOfChar[rune.Value] < 0)
            {
                return false;
            }

            bytes[written++] = (byte)ByteOfChar[rune.Value];
            utf8 = utf8[consumed..];
        }

        return true;
    }

    private static short[] Build()
    {
        short[] byteOfChar = new short[0x144];
        Array.Fill(byteOfChar, (short)-1);
        int next = 0x100;
        for (short value = 0; value < 256; value++)
        {
            bool printable = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or >= 0xAE;
            byteOfChar[printable ? value : next++] = value;
        }

        return byteOfChar;
    }
}
