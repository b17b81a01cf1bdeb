using System.Buffers.Binary;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class UnigramTokenizerTests
{
    private static GgufMetadataBuilder Metadata() => TestVocabularies
        .Metadata(
            "t5",
            ("<pad>", Kind.Control, 0), ("</s>", Kind.Control, 0), ("<unk>", Kind.Unknown, 0), ("▁", Kind.Normal, -2), ("a", Kind.Normal, -3), ("b", Kind.Normal, -3),
            ("ab", Kind.Normal, -5), ("▁a", Kind.Normal, -4.5f), ("bab", Kind.Normal, -5), ("<x>", Kind.UserDefined, 0))
        .Set("tokenizer.ggml.add_space_prefix", true).Set("tokenizer.ggml.remove_extra_whitespaces", true);

    [Theory]
    [InlineData("a", new[] { 7 })] // ▁a -4.5 against ▁ a -5
    [InlineData("ab", new[] { 3, 6 })] // ▁ ab -7 against ▁a b -7.5
    [InlineData("abab", new[] { 7, 8 })] // ▁a bab -9.5 against ▁ ab ab -12
    [InlineData("  a   a ", new[] { 7, 7 })]
    [InlineData("aééa", new[] { 7, 2, 4 })] // neighbouring unknown characters are one token
    [InlineData("", new int[0])]
    [InlineData("b<x>", new[] { 3, 5, 9 })]
    public void Encode_Text_TakesTheBestPath(string text, int[] expected) => Assert.Equal(expected, Metadata().ToTokenizer().Encode(text));

    [Fact]
    public void Encode_SpacesKept_WhereTheFileSaysSo() =>
        Assert.Equal([3, 7], Metadata().Set("tokenizer.ggml.remove_extra_whitespaces", false).Set("tokenizer.ggml.add_space_prefix", false).ToTokenizer().Encode("  a"));

    [Fact]
    public void Encode_TextThatSharesBytesWithAUserDefinedToken_KeepsItsCharacters()
    {
        // U+2581 is E2 96 81 and U+2190 E2 86 90: the first byte alone must not count as a match.
        Tokenizer tokenizer = TestVocabularies
            .Metadata("t5", ("<unk>", Kind.Unknown, 0), ("▁x", Kind.UserDefined, 0), ("←", Kind.Normal, -1)).Set("tokenizer.ggml.unknown_token_id", 0).ToTokenizer();

        Assert.Equal([2, 2], tokenizer.Encode("←←"));
    }

    [Fact]
    public void Encode_ReplacementThatIsNoUtf8_EndsAsUnknown()
    {
        uint[] units = new uint[256];
        units[0] = 1 << 10;
        units[0x40] = (1 << 10) | 0x100 | 0x41;
        units[0x41] = 0x8000_0000;
        GgufMetadataBuilder file = Metadata().Set("tokenizer.ggml.precompiled_charsmap", GgufValue.Array(GgufValueType.UInt8, 4 + (256 * 4) + 2, Map(units, [0xF0, 0])));

        Assert.Equal([3, 2], file.ToTokenizer().Encode("A"));
    }

    [Fact]
    public void Decode_DropsTheSpaceThatEncodingAdded() => Assert.Equal("abab a", Metadata().ToTokenizer().Decode([7, 8, 7]));

    [Fact]
    public void FromGguf_NoKeys_EndsTextsWithEos()
    {
        Tokenizer tokenizer = Metadata().ToTokenizer();

        Assert.Equal((null, 1, false, true), (tokenizer.Bos, tokenizer.Eos, tokenizer.AddBos, tokenizer.AddEos));
        Assert.Equal([7, 1], Prompt.Build(tokenizer, "a"));
    }

    [Fact]
    public void CharacterMap_Prefix_IsReplaced()
    {
        // A double array made by hand that knows "A" (0x41) only. Root at 0 with offset 1; its child is at 1 ^ 0x41 = 0x40, labelled 0x41, with a value and
        // offset 1, so the value is at 0x40 ^ 1 = 0x41. Offsets stand from bit 10 on, bit 8 says "has a value", bit 31 marks a value.
        uint[] units = new uint[256];
        units[0] = 1 << 10;
        units[0x40] = (1 << 10) | 0x100 | 0x41;
        units[0x41] = 0x8000_0002;
        var map = new CharacterMap(Map(units, "x\0a\0"u8));

        Assert.True(map.TryReplace("AB"u8, out ReadOnlySpan<byte> replacement, out int consumed));
        Assert.Equal((byte)'a', Assert.Single(replacement.ToArray()));
        Assert.Equal(1, consumed);
        Assert.False(map.TryReplace("B"u8, out _, out _));
    }

    [Fact]
    public void CharacterMap_Malformed_IsRefused()
    {
        Assert.Throws<InvalidDataException>(() => new CharacterMap([1, 2]));
        Assert.Throws<InvalidDataException>(() => new CharacterMap(Map(new uint[4], ""u8)));
        Assert.Throws<InvalidDataException>(() => new CharacterMap(Map(new uint[4], "no zero"u8)));
        Assert.Throws<InvalidDataException>(() => new CharacterMap([255, 255, 255, 255, 0]));

        var outside = new CharacterMap(Map([1u << 10], "\0"u8));
        Assert.Throws<InvalidDataException>(() => outside.TryReplace("A"u8, out _, out _));
    }

    private static byte[] Map(uint[] units, ReadOnlySpan<byte> replacements)
    {
        byte[] map = new byte[4 + (units.Length * 4) + replacements.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(map, (uint)units.Length * 4);
        for (int i = 0; i < units.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(map.AsSpan(4 + (i * 4)), units[i]);
        }

        replacements.CopyTo(map.AsSpan(4 + (units.Length * 4)));
        return map;
    }
}
