namespace Lamina.Compute.Grammar;

/// <summary>Writes a range of code points as sequences of byte ranges of its UTF-8 forms.</summary>
internal static class Utf8Ranges
{
    private static readonly (int Last, int Length)[] Lengths = [(0x7F, 1), (0x7FF, 2), (0xFFFF, 3), (0x10FFFF, 4)];

    public static List<(byte First, byte Last)[]> Of(int first, int last)
    {
        List<(byte, byte)[]> sequences = [];
        foreach ((int longest, int length) in Lengths)
        {
            if (first <= last && first <= longest)
            {
                Split(first, Math.Min(last, longest), length, sequences);
                first = longest + 1;
            }
        }

        return sequences;
    }

    private static void Split(int first, int last, int length, List<(byte, byte)[]> sequences)
    {
        // a sequence is a product of byte ranges only when its tails run over whole blocks of 64
        for (int tail = 1; tail < length; tail++)
        {
            int block = (1 << (6 * tail)) - 1;
            if ((first & ~block) != (last & ~block))
            {
                if ((first & block) != 0)
                {
                    Split(first, first | block, length, sequences);
                    Split((first | block) + 1, last, length, sequences);
                    return;
                }

                if ((last & block) != block)
                {
                    Split(first, (last & ~block) - 1, length, sequences);
                    Split(last & ~block, last, length, sequences);
                    return;
                }
            }
        }

        (byte, byte)[] bytes = new (byte, byte)[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (ByteAt(first, i, length), ByteAt(last, i, length));
        }

        sequences.Add(bytes);
    }

    private static byte ByteAt(int value, int index, int length)
    {
        int bits = value >> (6 * (length - 1 - index));
        return index > 0 ? (byte)(0x80 | (bits & 0x3F)) : length == 1 ? (byte)bits : (byte)((0xF00 >> length & 0xFF) | bits);
    }
}
