using Lamina.Compute.Gguf;
using Lamina.Compute.Tests.Fuzzing;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>What files say about their vocabularies, and what hostile ones may not do.</summary>
public sealed class VocabularyTests
{
    [Fact]
    public void EndOfGeneration_KnownTexts_AreFoundWhateverTheirKind()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("gpt-2", [], ("<|im_end|>", Kind.Normal), ("<|endoftext|>", Kind.Control), ("<|im_start|>", Kind.Control), ("</s>", Kind.Normal)).ToTokenizer();

        Assert.Equal([256, 257, 259], tokenizer.EndOfGeneration.Order());
        Assert.True(tokenizer.IsControl(256));
        Assert.DoesNotContain(256, tokenizer.Encode("<|im_end|>"));
    }

    [Fact]
    public void EndOfGeneration_IdsInTheFile_Count()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("gpt-2", [], ("<x>", Kind.Control), ("<y>", Kind.Control), ("<z>", Kind.Control))
            .Set("tokenizer.ggml.eos_token_id", 256).Set("tokenizer.ggml.eot_token_id", 257).Set("tokenizer.ggml.eom_token_id", 258).ToTokenizer();

        Assert.Equal([256, 257, 258], tokenizer.EndOfGeneration.Order());
    }

    [Fact]
    public void EndOfGeneration_Harmony_GoesOnAfterAMessage()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("gpt-4o", [], ("<|return|>", Kind.Control), ("<|call|>", Kind.Control), ("<|end|>", Kind.Control)).ToTokenizer();

        Assert.Equal([256, 257], tokenizer.EndOfGeneration.Order());
        Assert.DoesNotContain(258, tokenizer.Encode("<|end|>"));
    }

    [Fact]
    public void Encode_Phi3SpecialToken_SwallowsTheSpaceBehindIt()
    {
        GgufMetadataBuilder file = TestVocabularies.Bpe("gpt-2", [], ("<|user|>", Kind.Control), ("<s>", Kind.Control));

        Assert.Equal([256, 'a'], file.Set("general.name", "Phi-3 mini").ToTokenizer().Encode("<|user|> \n a", [Range.All]));
        Assert.Equal([257, ' ', 'a'], file.ToTokenizer().Encode("<s> a", [Range.All]));
        Assert.Equal([256, ' ', 'a'], file.Set("general.name", "other").ToTokenizer().Encode("<|user|> a", [Range.All]));
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void FromGguf_IdsNoTokenHas_MeanNone()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("llama-bpe", [])
            .Set("tokenizer.ggml.bos_token_id", uint.MaxValue).Set("tokenizer.ggml.eos_token_id", 256).Set("tokenizer.ggml.padding_token_id", 1 << 30).ToTokenizer();

        Assert.Null(tokenizer.Bos);
        Assert.Null(tokenizer.Eos);
        Assert.False(tokenizer.AddBos);
        Assert.Empty(tokenizer.EndOfGeneration);
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void FromGguf_DuplicateTokens_LoadAndTheLastCounts()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("llama-bpe", [], ("ab", Kind.Normal), ("ab", Kind.Normal)).ToTokenizer();

        Assert.Equal([257], tokenizer.Encode("ab"));
        Assert.Equal("abab", tokenizer.Decode([256, 257]));
    }

    [Fact]
    public void FromGguf_WhatIsNotSupported_IsNamed()
    {
        Assert.Contains("'rwkv'", Assert.Throws<NotSupportedException>(() => TestVocabularies.Metadata("rwkv", ("a", Kind.Normal, 0)).ToTokenizer()).Message);
        Assert.Contains("'klingon'", Assert.Throws<NotSupportedException>(() => TestVocabularies.Bpe("klingon", []).ToTokenizer()).Message);
    }

    [Fact]
    public void FromGguf_Malformed_IsRefusedWithTheKey()
    {
        static string Refusal(GgufMetadataBuilder file) => Assert.Throws<InvalidDataException>(() => file.ToTokenizer()).Message;

        Assert.Contains("tokenizer.ggml.model", Refusal(TestVocabularies.Bpe("gpt-2", []).Remove("tokenizer.ggml.model")));
        Assert.Contains("tokenizer.ggml.tokens", Refusal(TestVocabularies.Bpe("gpt-2", []).Remove("tokenizer.ggml.tokens")));
        Assert.Contains("0 tokens", Refusal(TestVocabularies.Bpe("gpt-2", []).Set("tokenizer.ggml.tokens", Array.Empty<string>())));
        Assert.Contains("tokenizer.ggml.merges", Refusal(TestVocabularies.Bpe("gpt-2", []).Remove("tokenizer.ggml.merges")));
        Assert.Contains("tokenizer.ggml.merges", Refusal(TestVocabularies.Bpe("gpt-2", []).Set("tokenizer.ggml.merges", ["nospace"])));
        Assert.Contains("token_type", Refusal(TestVocabularies.Bpe("gpt-2", []).Set("tokenizer.ggml.token_type", [1, 1])));
        Assert.Contains("scores", Refusal(TestVocabularies.Spm().Set("tokenizer.ggml.scores", [1f])));
        Assert.Contains("bos_token_id", Refusal(TestVocabularies.Spm().Set("tokenizer.ggml.bos_token_id", "one")));
        Assert.Contains("precompiled_charsmap", Refusal(TestVocabularies.Metadata("t5", ("a", Kind.Normal, 0)).Set("tokenizer.ggml.precompiled_charsmap", "x")));
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void FromGguf_HugeTokens_AreRefused()
    {
        string huge = new('a', 1 << 20);

        Assert.Throws<InvalidDataException>(() => TestVocabularies.Bpe("gpt-2", [], (huge, Kind.Normal)).ToTokenizer());
        Assert.Throws<InvalidDataException>(() => TestVocabularies.Bpe("gpt-2", [], (huge[..2000], Kind.Control)).ToTokenizer());
        Assert.Throws<InvalidDataException>(() => TestVocabularies.Metadata("bert", (huge[..2000], Kind.Normal, 0)).ToTokenizer());
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void Encode_HostileMergesAndScores_EndQuickly()
    {
        // Merges that feed each other, and scores that are no numbers.
        Tokenizer bpe = TestVocabularies.Bpe("gpt-2", []).Set("tokenizer.ggml.merges", ["a a", "aa a", "a aa", "aa aa", "aaaa a", "a a"]).ToTokenizer();
        Tokenizer spm = TestVocabularies.Spm(("▁", Kind.Normal, 0), ("a", Kind.Normal, float.NaN), ("aa", Kind.Normal, float.PositiveInfinity), ("aaa", Kind.Normal, float.NegativeInfinity), ("", Kind.Normal, 0)).ToTokenizer();
        string text = new('a', 100_000);

        Assert.Equal(text, bpe.Decode(bpe.Encode(text)));
        Assert.Equal(text, spm.Decode(spm.Encode(text)));
    }

    /// <summary>Two million tokens, of distinct texts and of one: loaded in time and memory that grow with their number alone, and usable to the last.</summary>
    [Trait("Attack", "A10")]
    [Theory]
    [InlineData("gpt2", true)]
    [InlineData("gpt2", false)]
    [InlineData("llama", true)]
    [InlineData("llama", false)]
    [InlineData("bert", true)]
    [InlineData("t5", true)]
    public void FromGguf_HugeVocabulary_LoadsInProportionAndServes(string model, bool distinct)
    {
        int few = AttackScale.Cases(5_000, 200_000), many = 10 * few;
        (double small, _) = Best(few);
        (double large, Tokenizer tokenizer) = Best(many);

        // Ten times the tokens; a quadratic step would take a hundred times as long.
        Assert.True(large < 40 * Math.Max(small, 1), $"{few} tokens take {small:f0} ms, {many} take {large:f0} ms");
        Assert.Equal(many, tokenizer.VocabularySize);
        Assert.Equal(distinct ? $"a{many - 1:x}" : "ab", tokenizer.Decode([many - 1]).Trim());
        Assert.All(tokenizer.Encode("ab a1 zz"), id => Assert.InRange(id, 0, many - 1));

        (double Milliseconds, Tokenizer Tokenizer) Best(int count)
        {
            string mark = model is "llama" or "t5" or "bert" ? "▁" : "";
            GgufMetadata metadata = TestVocabularies.Metadata(model, [.. Enumerable.Range(0, count).Select(i => (distinct ? $"{mark}a{i:x}" : mark + "ab", Kind.Normal, 0f))])
                .Set("tokenizer.ggml.merges", ["a b"]).Set("tokenizer.ggml.unknown_token_id", 0).Build();
            (double best, Tokenizer? made) = (double.MaxValue, null);
            for (int attempt = 0; attempt < 3; attempt++)
            {
                TimeSpan start = ThreadTime.Now;
                made = Tokenizer.FromGguf(metadata);
                best = Math.Min(best, (ThreadTime.Now - start).TotalMilliseconds);
            }

            return (best, made!);
        }
    }

    [Fact]
    public void FromGguf_TokensOfEveryKindWithoutText_Load()
    {
        foreach (Kind kind in Enum.GetValues<Kind>())
        {
            Tokenizer tokenizer = TestVocabularies.Bpe("gpt-2", [], ("", kind)).ToTokenizer();
            Assert.Equal(['a'], tokenizer.Encode("a", [Range.All]));
            Assert.Equal("", tokenizer.Decode([256], special: true));
        }
    }

    [Fact]
    public void FromGguf_TextsThatAreNoUtf8_AreRefusedWhereTheyCouldCutACharacter()
    {
        // One token, the byte A9: length, then the byte.
        GgufValue halfCharacter = GgufValue.Array(GgufValueType.String, 1, new byte[] { 1, 0, 0, 0, 0, 0, 0, 0, 0xA9 });
        GgufMetadataBuilder file = TestVocabularies.Metadata("llama", ("x", Kind.UserDefined, 0)).Set("tokenizer.ggml.tokens", halfCharacter);

        Assert.Throws<InvalidDataException>(() => file.ToTokenizer());
        Assert.NotNull(file.Set("tokenizer.ggml.token_type", [(int)Kind.Normal]).ToTokenizer().Encode("é"));
    }
}
