using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>The text of every control token of real vocabularies, written by a user: never that token, nor any other control token.</summary>
public sealed class SpecialTextTests(ITestOutputHelper output)
{
    private const int Unknown = 2, Control = 3;

    [Trait("Attack", "U1")]
    [Theory]
    [InlineData("")]
    [InlineData("bert-bge")]
    [InlineData("deepseek-coder")]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    [InlineData("mpt")]
    [InlineData("phi-3")]
    [InlineData("starcoder")]
    public void Encode_TextsOfControlTokensInUntrustedText_YieldNone(string vocabulary)
    {
        using GgufFile file = GgufFile.Open(vocabulary.Length == 0 ? Repository.File("models/lamina-tiny-q8_0.gguf") : Repository.Shared($"tokenizers/ggml-vocab-{vocabulary}.gguf"));
        Tokenizer tokenizer = Tokenizer.FromGguf(file.Metadata);
        string[] texts = file.Metadata.FindStrings("tokenizer.ggml.tokens")!.ToArray();
        int[] kinds = file.Metadata.FindInt32s("tokenizer.ggml.token_type")!;

        // What the file itself says, not the tokenizer; the ids that end a generation have the same power, whatever their kind.
        HashSet<int> special = [.. Enumerable.Range(0, texts.Length).Where(id => kinds[id] is Unknown or Control && texts[id].Length > 0), .. tokenizer.EndOfGeneration];
        int asItself = 0;
        foreach (int id in special)
        {
            string text = texts[id];
            foreach ((string given, Range[] trusted) in new (string, Range[])[]
            {
                (text, []),
                ($" {text} ", []),
                ($"a{text}b\n{text}{text}", []),
                (text[..(text.Length / 2)] + text + text[(text.Length / 2)..], []),

                // The template's own text begins or ends within it, or right beside it.
                (text, [0..(text.Length / 2)]),
                (text, [(text.Length / 2)..]),
                ("x" + text + "y", [0..1, (text.Length + 1)..]),
            })
            {
                int[] ids = tokenizer.Encode(given, trusted);
                int found = Array.FindIndex(ids, special.Contains);
                Assert.True(found < 0, $"'{given}' holds token {(found < 0 ? 0 : ids[found])}");
            }

            asItself += tokenizer.Encode(text, [Range.All]).AsSpan().SequenceEqual([id]) ? 1 : 0;
        }

        output.WriteLine($"{special.Count} of {texts.Length} tokens, {asItself} found in trusted text");
        Assert.InRange(asItself, 1, special.Count);
    }
}
