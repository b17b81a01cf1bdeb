using System.Buffers.Binary;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>
/// SentencePiece's <c>precompiled_charsmap</c>: UTF-8 prefixes and their replacements. A 32-bit length, that many bytes of a double array (Darts: value or child offset
/// packed in 32 bits), then the replacements, each ended by a zero.
/// </summary>
internal sealed class CharacterMap
{
    private readonly uint[] units;
    private readonly byte[] replacements;

    /// <summary>Throws <see cref="InvalidDataException"/> when lengths do not fit.</summary>
    public CharacterMap(ReadOnlySpan<byte> map)
    {
        if (map.Length < 4 || BinaryPrimitives.ReadUInt32LittleEndian(map) is var arrayBytes && (arrayBytes % 4 != 0 || arrayBytes == 0 || arrayBytes > (uint)map.Length - 4))
        {
            throw new InvalidDataException($"'tokenizer.ggml.precompiled_charsmap' of {map.Length} bytes does not hold the array it announces");
        }

        units = new uint[arrayBytes / 4];
        for (int i = 0; i < units.Length; i++)
        {
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(map[(4 + (4 * i))..]);
        }

        replacements = map[(4 + (int)arrayBytes)..].ToArray();
        if (replacements.Length == 0 || replacements[^1] != 0)
        {
            throw new InvalidDataException("the replacements in 'tokenizer.ggml.precompiled_charsmap' do not end with a zero");
        }
    }

    /// <summary>Finds the longest prefix of the text that has a replacement.</summary>
    public bool TryReplace(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> replacement, out int consumed)
    {
        consumed = 0;
        replacement = [];
        uint node = Offset(Unit(0));
        for (int i = 0; i < text.Length && text[i] != 0; i++)
        {
            node ^= text[i];
            uint unit = Unit(node);
            if ((unit & 0x8000_00FF) != text[i])
            {
                break;
            }

            node ^= Offset(unit);
            if ((unit & 0x100) != 0)
            {
                consumed = i + 1;
                replacement = Replacement(Unit(node) & 0x7FFF_FFFF);
            }
        }

        return consumed > 0;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);

    private uint Unit(uint index) => index < (uint)units.Length
        ? units[index]
        : throw new InvalidDataException($"'tokenizer.ggml.precompiled_charsmap' refers to entry {index} of {units.Length}");

    private ReadOnlySpan<byte> Replacement(uint start)
    {
        if (start >= (uint)replacements.Length)
        {
            throw new InvalidDataException($"'tokenizer.ggml.precompiled_charsmap' refers to replacement byte {start} of {replacements.Length}");
        }

        ReadOnlySpan<byte> rest = replacements.AsSpan((int)start);
        return rest[..rest.IndexOf((byte)0)];
    }
}
