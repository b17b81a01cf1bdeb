using Lamina.Compute.Gguf;

namespace Lamina.Compute.Tests.Gguf;

public class GgufMetadataTests
{
    [Fact]
    public void Builder_EveryType_SurvivesWritingAndReading()
    {
        GgufMetadata metadata = new GgufMetadataBuilder()
            .Set("text", "é\0x").Set("u32", 4_000_000_000u).Set("i32", -5).Set("u16", (ushort)9).Set("i64", -1L).Set("u64", 7ul)
            .Set("f32", 0.5f).Set("yes", true).Set("words", ["a", "", "bcd"])
            .Set("floats", [1f, -2f]).Set("ints", [3, -4]).Set("bools", [true, false])
            .Build();

        GgufMetadata read = GgufReader.ReadMetadata(GgufWriter.ToBytes(metadata, []));

        Assert.Equal(metadata.Keys, read.Keys);
        Assert.Equal("é\0x", read.GetString("text"));
        Assert.Equal(-5, read.GetInt32("i32", -10));
        Assert.Equal(9, read.GetInt32("u16"));
        Assert.Equal(-1, read.GetInt32("i64", -1));
        Assert.Equal(7, read.GetInt32("u64"));
        Assert.Equal(0.5f, read.FindFloat("f32"));
        Assert.True(read.FindBool("yes"));
        Assert.Equal(["a", "", "bcd"], read.FindStrings("words")!);
        Assert.Equal([1f, -2f], read.FindFloats("floats")!);
        Assert.Equal([3, -4], read.FindInt32s("ints")!);
        Assert.Equal([true, false], read.FindBools("bools")!);
        Assert.Equal(3, read.FindCount("words"));
    }

    [Fact]
    public void GetInt32_OutOfRange_NamesKeyValueAndBounds()
    {
        GgufMetadata metadata = new GgufMetadataBuilder().Set("n", 4_000_000_000u).Set("m", ulong.MaxValue).Build();
        Assert.Equal("'n' is 4000000000, expected 0 to 2147483647", Assert.Throws<InvalidDataException>(() => metadata.GetInt32("n")).Message);
        Assert.Throws<InvalidDataException>(() => metadata.FindInt32("m"));
    }

    [Fact]
    public void Get_AbsentKey_ThrowsAndFindGivesNull()
    {
        GgufMetadata metadata = new GgufMetadataBuilder().Build();
        Assert.Contains("'x'", Assert.Throws<InvalidDataException>(() => metadata.GetString("x")).Message);
        Assert.Throws<InvalidDataException>(() => metadata.GetInt32("x"));
        Assert.Null(metadata.FindString("x"));
        Assert.Null(metadata.FindInt32("x"));
        Assert.Null(metadata.FindFloat("x"));
        Assert.Null(metadata.FindBool("x"));
        Assert.Null(metadata.FindStrings("x"));
        Assert.Null(metadata.FindFloats("x"));
        Assert.Null(metadata.FindInt32s("x"));
        Assert.Null(metadata.FindBools("x"));
        Assert.Null(metadata.FindCount("x"));
    }

    /// <summary>Every getter against every one of the format's types: the right value, or an error that names the key.</summary>
    [Trait("Attack", "A5")]
    [Fact]
    public void Getters_OfAnotherType_ThrowInsteadOfReinterpreting()
    {
        for (uint type = 0; type < 13; type++)
        {
            for (uint element = 0; element < 13; element++)
            {
                if ((type == 9 && element == 9) || (type != 9 && element != type))
                {
                    continue;
                }

                GgufMetadata metadata = OneValue(type, element);
                bool array = type == 9;
                bool integer = element is <= 5 or 10 or 11;
                bool real = element is 6 or 12;
                Accepts(!array && integer, () => metadata.FindInt32("k"));
                Accepts(!array && real, () => metadata.FindFloat("k"));
                Accepts(!array && element == 7, () => metadata.FindBool("k"));
                Accepts(!array && element == 8, () => metadata.FindString("k"));
                Accepts(array && integer, () => metadata.FindInt32s("k"));
                Accepts(array && real, () => metadata.FindFloats("k"));
                Accepts(array && element == 7, () => metadata.FindBools("k"));
                Accepts(array && element == 8, () => metadata.FindStrings("k"));
                Accepts(array, () => metadata.FindCount("k"));
            }
        }
    }

    [Fact]
    public void FindBool_ByteAboveOne_IsRejected()
    {
        byte[] file = GgufBytes.Header(0, 1).Text("k").U32(7).Raw([2]).ToArray();
        Assert.Throws<InvalidDataException>(() => GgufReader.ReadMetadata(file).FindBool("k"));
    }

    [Fact]
    public void FindStrings_InvalidUtf8_IsRejectedAndRawBytesRemain()
    {
        byte[] file = GgufBytes.Header(0, 1).Text("k").U32(9).U32(8).U64(1).U64(1).Raw([0xFF]).ToArray();
        GgufMetadata metadata = GgufReader.ReadMetadata(file);
        Assert.Contains("UTF-8", Assert.Throws<InvalidDataException>(() => metadata.FindStrings("k")).Message);
        Assert.Equal([0xFF], metadata.FindUtf8Strings("k")![0].ToArray());
    }

    [Fact]
    public void WithoutTokenizer_DropsTheVocabularyAndKeepsItsSize()
    {
        GgufMetadata full = new GgufMetadataBuilder()
            .Set("general.architecture", "llama").Set("llama.block_count", 2).Set("llama.rope.dimension_sections", [1, 2])
            .Set("tokenizer.ggml.model", "gpt2").Set("tokenizer.ggml.tokens", ["a", "b", "c"]).Set("tokenizer.chat_template", "{{x}}")
            .Set("tokenizer.ggml.bos_token_id", 1).Build();

        GgufMetadata small = GgufReader.ReadMetadata(GgufHeaders.WithoutTokenizer(full));

        Assert.Equal(
            ["general.architecture", "llama.block_count", "llama.rope.dimension_sections", "tokenizer.ggml.model", "tokenizer.ggml.bos_token_id", "llama.vocab_size"],
            small.Keys);
        Assert.Equal(3, small.GetInt32("llama.vocab_size"));
    }

    private static GgufMetadata OneValue(uint type, uint element)
    {
        GgufBytes file = GgufBytes.Header(0, 1).Text("k").U32(type);
        if (type == 9)
        {
            file.U32(element).U64(1);
        }

        file = element == 8 ? file.Text("x") : file.Raw(new byte[element switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, _ => 8 }]);
        return GgufReader.ReadMetadata(file.ToArray());
    }

    private static void Accepts(bool expected, Func<object?> getter)
    {
        if (expected)
        {
            Assert.NotNull(getter());
        }
        else
        {
            Assert.Contains("'k'", Assert.Throws<InvalidDataException>(() => getter()).Message);
        }
    }
}
