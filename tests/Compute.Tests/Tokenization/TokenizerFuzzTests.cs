using System.Runtime.InteropServices;
using System.Text;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tests.Fuzzing;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>
/// Random UTF-16, lone surrogates and all, against every algorithm, and random vocabularies against random texts. Seeded; LAMINA_FUZZ_SECONDS lengthens the run, with a seed
/// of its own that a failure names.
/// </summary>
public sealed class TokenizerFuzzTests(ITestOutputHelper output)
{
    private static readonly string[] Rules = ["gpt-2", "smollm", "llama-bpe", "qwen35", "tekken", "gpt-4o", "tiny_aya", "youtu", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "default", "bloom"];

    [Trait("Attack", "A11")]
    [Fact]
    public void Encode_RandomUtf16_NeverFailsAndRoundTrips()
    {
        Tokenizer[] tokenizers = [TestVocabularies.BuiltInModel(), .. Rules.Select(rule => TestVocabularies.Bpe(rule, ["a b", "ab ab", "Ġ Ġ"], ("<|end|>", Kind.Control), ("\n\n", Kind.UserDefined)).ToTokenizer())];
        Repeat("texts", iterations: 300, random =>
        {
            string text = RandomUtf16(random, random.Next(400));
            Range[] trusted = RandomRanges(random, text.Length);
            string expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Tokenizer tokenizer = tokenizers[random.Next(tokenizers.Length)];

            Assert.Equal(expected, tokenizer.Decode(tokenizer.Encode(text, trusted), special: true));
        });
    }

    [Trait("Attack", "A10")]
    [Fact]
    public void Encode_RandomVocabulary_LoadsOrIsRefusedAndNeverFails()
    {
        Repeat("vocabularies", iterations: 200, random =>
        {
            Tokenizer tokenizer;
            try
            {
                tokenizer = RandomVocabulary(random).ToTokenizer();
            }
            catch (InvalidDataException)
            {
                return;
            }

            string text = RandomUtf16(random, random.Next(200)) + string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => "ab ▁"[random.Next(4)]));
            int[] ids = tokenizer.Encode(text, RandomRanges(random, text.Length));
            Assert.All(ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
            Assert.NotNull(tokenizer.Decode(ids));
        });
    }

    [Trait("Attack", "A11")]
    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData("1")]
    [InlineData("'")]
    [InlineData("é")]
    [InlineData("\ud800")]
    [InlineData("<")]
    [InlineData("aA")]
    [InlineData(" \n")]
    public void Encode_LongRepetition_TakesNoQuadraticTime(string unit)
    {
        // Eight times the text takes eight times as long, or a little more where pieces are sorted; a quadratic step would take 64 times as long.
        const int Times = 8, MostTimes = 24, Attempts = 5;
        string text = string.Concat(Enumerable.Repeat(unit, AttackScale.Cases(1 << 16, 4 << 20) / unit.Length)), shorter = text[..(text.Length / Times)];
        Tokenizer[] tokenizers =
        [
            .. Rules.Select(rule => TestVocabularies.Bpe(rule, ["a a", "aa aa", "Ġ Ġ", "ĠĠ ĠĠ"], ("  ", Kind.UserDefined), ("    ", Kind.UserDefined)).ToTokenizer()),
            TestVocabularies.Spm(("▁", Kind.Normal, -1), ("▁▁", Kind.Normal, -1), ("a", Kind.Normal, -1), ("aa", Kind.Normal, -1), ("a▁", Kind.Normal, -1)).ToTokenizer(),
            TestVocabularies.Metadata("bert", ("[UNK]", Kind.Unknown, 0), ("▁a", Kind.Normal, 0), ("aa", Kind.Normal, 0)).Set("tokenizer.ggml.unknown_token_id", 0).ToTokenizer(),
            TestVocabularies.Metadata("t5", ("<unk>", Kind.Unknown, 0), ("a", Kind.Normal, -1), ("aa", Kind.Normal, -2)).Set("tokenizer.ggml.unknown_token_id", 0).ToTokenizer(),
        ];

        for (int i = 0; i < tokenizers.Length; i++)
        {
            tokenizers[i].Encode(shorter, [Range.All]);
            (double little, double much) = (double.MaxValue, double.MaxValue);
            for (int attempt = 0; attempt < Attempts && much > MostTimes * Math.Max(little, 1); attempt++)
            {
                little = Math.Min(little, Milliseconds(tokenizers[i], shorter));
                much = Math.Min(much, Milliseconds(tokenizers[i], text));
            }

            Assert.True(much <= MostTimes * Math.Max(little, 1), $"tokenizer {i}: {shorter.Length} characters take {little:f1} ms, {text.Length} take {much:f1} ms");
        }

        static double Milliseconds(Tokenizer tokenizer, string text)
        {
            TimeSpan start = ThreadTime.Now;
            tokenizer.Encode(text, [Range.All]);
            return (ThreadTime.Now - start).TotalMilliseconds;
        }
    }

    private void Repeat(string name, int iterations, Action<Random> body)
    {
        var run = new FuzzRun(name);
        while (run.Continues(iterations))
        {
            int seed = unchecked(run.Seed + (int)run.Inputs);
            run.Try(() => body(new Random(seed)), () => $"seed {seed}");
        }

        output.WriteLine(run.ToString());
    }

    private static string RandomUtf16(Random random, int length)
    {
        if (random.Next(3) == 0)
        {
            return new RandomText(random.Next()).Next(["<|end|>", "\n\n", "<|im_start|>"]);
        }

        char[] units = new char[length];
        random.NextBytes(MemoryMarshal.AsBytes(units.AsSpan()));
        for (int i = 0; i < units.Length; i++)
        {
            units[i] = random.Next(4) switch { 0 => units[i], 1 => (char)(0xD800 + (units[i] & 0x7FF)), 2 => (char)(units[i] & 0x7F), _ => "a \n'1é"[units[i] % 6] };
        }

        return new string(units);
    }

    private static Range[] RandomRanges(Random random, int length) =>
        [.. Enumerable.Range(0, random.Next(4)).Select(_ => (random.Next(length + 1), random.Next(length + 1))).Select(pair => Math.Min(pair.Item1, pair.Item2)..Math.Max(pair.Item1, pair.Item2))];

    private static GgufMetadataBuilder RandomVocabulary(Random random)
    {
        string Text() => string.Concat(Enumerable.Range(0, random.Next(5)).Select(_ => "abĠ▁ \n<>é"[random.Next(9)]));
        string model = new[] { "llama", "gpt2", "bert", "t5", "gemma4" }[random.Next(5)];
        var tokens = Enumerable.Range(0, random.Next(1, 60)).Select(_ => (Text(), (Kind)random.Next(8), (float)random.NextDouble() - random.Next(4))).ToArray();
        GgufMetadataBuilder builder = TestVocabularies.Metadata(model, tokens)
            .Set("tokenizer.ggml.pre", Rules[random.Next(Rules.Length)])
            .Set("tokenizer.ggml.merges", Enumerable.Range(0, random.Next(30)).Select(_ => $"{Text()} {Text()}").ToArray())
            .Set("tokenizer.ggml.add_space_prefix", random.Next(2) == 0)
            .Set("tokenizer.ggml.remove_extra_whitespaces", random.Next(2) == 0)
            .Set("general.name", random.Next(3) == 0 ? "phi-3" : "other");
        foreach (string key in new[] { "bos", "eos", "unknown", "seperator", "eot" })
        {
            builder.Set($"tokenizer.ggml.{key}_token_id", random.Next(-2, 70));
        }

        return builder;
    }
}
