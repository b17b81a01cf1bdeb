using System.Text;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>llama.cpp's own pairs of texts and ids.</summary>
public sealed class ReferenceVocabularyTests
{
    [Theory]
    [InlineData("bert-bge")]
    [InlineData("deepseek-coder")]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    [InlineData("mpt")]
    [InlineData("phi-3")]
    [InlineData("starcoder")]
    public void Encode_ReferenceTexts_GivesReferenceIds(string name)
    {
        string path = Repository.Shared($"tokenizers/ggml-vocab-{name}.gguf");
        using GgufFile file = GgufFile.Open(path);
        Tokenizer tokenizer = Tokenizer.FromGguf(file.Metadata);
        string[] texts = File.ReadAllText(path + ".inp", Encoding.UTF8).Split("\n__ggml_vocab_test__\n");
        string[] expected = File.ReadAllLines(path + ".out");

        Assert.True(texts.Length >= expected.Length && expected.Length > 40);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i].Trim(), string.Join(' ', tokenizer.Encode(texts[i])));
        }
    }
}
