using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class PromptTests
{
    private static Tokenizer Make(bool addBos, bool addEos = false) => TestVocabularies.Bpe("gpt-2", [], ("<s>", Kind.Control), ("</s>", Kind.Control))
        .Set("tokenizer.ggml.bos_token_id", 256).Set("tokenizer.ggml.eos_token_id", 257)
        .Set("tokenizer.ggml.add_bos_token", addBos).Set("tokenizer.ggml.add_eos_token", addEos).ToTokenizer();

    [Fact]
    public void Build_TextWithoutBos_GetsOne() => Assert.Equal([256, 'a'], Prompt.Build(Make(addBos: true), "a"));

    [Fact]
    public void Build_TemplateThatWritesBos_GetsNoSecondOne() => Assert.Equal([256, 'a'], Prompt.Build(Make(addBos: true), "<s>a", [0..3]));

    [Fact]
    public void Build_UserWhoWritesBos_IsStillPrecededByOne() => Assert.Equal([256, '<', 's', '>', 'a'], Prompt.Build(Make(addBos: true), "<s>a", [3..4]));

    [Fact]
    public void Build_ModelWithoutBos_GetsTheTextAlone() => Assert.Equal(['a'], Prompt.Build(Make(addBos: false), "a"));

    [Fact]
    public void Build_EmptyText_IsBosAlone() => Assert.Equal([256], Prompt.Build(Make(addBos: true), ""));

    [Fact]
    public void Build_ModelThatWantsEos_EndsWithOne()
    {
        Assert.Equal([256, 'a', 257], Prompt.Build(Make(addBos: true, addEos: true), "a"));
        Assert.Equal([256, 'a', 257], Prompt.Build(Make(addBos: true, addEos: true), "a</s>", [Range.All]));
    }
}
