namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>What a name in <c>tokenizer.ggml.pre</c> stands for.</summary>
/// <param name="WholeWordsFirst">A piece that is a token as a whole is that token, whatever the merges say.</param>
/// <param name="AddBos">Whether prompts get a BOS where the file does not say.</param>
/// <param name="RawText">Tokens are plain text with U+2581 for spaces instead of bytes in GPT-2's alphabet.</param>
internal sealed record PreTokenizerRule(PreTokenizer PreTokenizer, bool WholeWordsFirst = false, bool AddBos = false, bool RawText = false);

/// <summary>The one table of pre-tokenizer names.</summary>
internal static class PreTokenizers
{
    private const string LineEnds = "\r\n";

    private static readonly WordSplitter Gpt2Words = new() { Shape = WordShape.SpacePrefix, Contractions = Contractions.LowerCase, LinesEndPieces = false };
    private static readonly WordSplitter Llama3Words = new() { Shape = WordShape.AnyPrefix, MaxDigits = 3, PunctuationTail = LineEnds };
    private static readonly WordSplitter Qwen2Words = new() { Shape = WordShape.AnyPrefix, MaxDigits = 1, PunctuationTail = LineEnds };

    private static readonly RunSplitter Digit = new(new(CharClass.Number), max: 1);
    private static readonly RunSplitter Digits = new(new(CharClass.Number));
    private static readonly RunSplitter ThreeDigits = new(new(CharClass.Number), max: 3);
    private static readonly RunSplitter AsciiThreeDigits = new(new(0, ranges: "30-39"), min: 3, max: 3);
    private static readonly RunSplitter LineEnd = new(new(0, LineEnds), max: 1);

    // Scripts without spaces between words, as the DeepSeek tokenizers list them.
    private static readonly RunSplitter Cjk = new(new(0, ranges: "0800-9FA5 AC00-D7FF"));
    private static readonly RunSplitter ChineseAndKana = new(new(0, ranges: "3040-30FF 4E00-9FA5"));

    public static PreTokenizerRule? Find(string name) => name switch
    {
        "gpt-2" or "phi-2" or "jina-es" or "jina-de" or "jina-v1-en" or "jina-v2-es" or "jina-v2-de" or "jina-v2-code" or "roberta-bpe" or "gigachat"
            or "a.x-4.0" or "mellum" or "modern-bert" or "exaone4" or "mpt" or "olmo" or "jais" or "trillion" or "granite-docling" => new(new(Gpt2Words)),
        "smollm" or "starcoder" or "refact" or "command-r" or "codeshell" or "exaone" or "minerva-7b" or "mellum2" => new(new(Digit, Gpt2Words)),
        "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "pixtral" or "midm-2.0" or "lfm2" or "jina-v5-nano" =>
            new(new(Llama3Words), WholeWordsFirst: true, AddBos: true),
        "dbrx" or "smaug-bpe" or "glm4" or "chatglm-bpe" => new(new(Llama3Words)),
        "qwen2" or "deepseek-r1-qwen" or "kormo" or "f2llmv2" or "megrez" or "stablelm2" or "hunyuan" or "solar-open" or "grok-2" => new(new(Qwen2Words)),
        "qwen35" => new(new(new WordSplitter { Shape = WordShape.AnyPrefix, MaxDigits = 1, MarksInWords = true, PunctuationTail = LineEnds })),
        "ufakzeka" => new(new(new WordSplitter { Shape = WordShape.AnyPrefix, Contractions = Contractions.None, MaxDigits = 1, PunctuationTail = LineEnds })),
        "bailingmoe" or "bailingmoe2" or "llada-moe" => new(new(Qwen2Words)),
        "seed-coder" => new(new(new WordSplitter { Shape = WordShape.AnyPrefix, MaxDigits = 1 })),
        "minicpm5" => new(new(ThreeDigits, new WordSplitter { Shape = WordShape.AnyPrefix, PunctuationTail = LineEnds }), WholeWordsFirst: true),
        "tekken" => new(new(CamelCase(Contractions.None, maxDigits: 1)), WholeWordsFirst: true, AddBos: true),
        "gpt-4o" or "llama4" or "kanana2" or "talkie" or "minimax-m2" => new(new(CamelCase(Contractions.Suffix, maxDigits: 3))),
        "granite-embed-multi-97m" => new(new(CamelCase(Contractions.Suffix, maxDigits: 3, marksInWords: true)), WholeWordsFirst: true),
        "tiny_aya" or "cohere2moe" => new(new(new DigitGroupSplitter(), WordsWithMarks(maxDigits: 3))),
        "youtu" => new(
            new(
                new RunSplitter(new(0, ranges: "AC00-D7A3 3131-318E")),
                new RunSplitter(new(0, "！…“”‘’—：；，", "3001-303F FE30-FE4F")),
                new RunSplitter(new(0, ranges: "3105-312F")),
                ChineseAndKana,
                WordsWithMarks(maxDigits: 1)),
            WholeWordsFirst: true),
        "deepseek-llm" => new(
            new(LineEnd, new RunSplitter(new(0, ranges: CasedLetters.Ranges), prefix: RunPrefix.Whitespace), WidePunctuation, new TrailingWhitespaceSplitter(), Cjk, Digits)),
        "deepseek-coder" => new(
            new(
                LineEnd,
                new RunSplitter(new(CharClass.Letter), prefix: RunPrefix.Whitespace),
                new RunSplitter(new(CharClass.Punctuation), prefix: RunPrefix.Whitespace),
                Cjk,
                Digit)),
        "deepseek-v3" or "hunyuan-dense" or "joyai-llm" or "hy_v4" => new(new(ThreeDigits, ChineseAndKana, new PunctuationSplitter())),
        "falcon" => new(new(new RunSplitter(new(CharClass.Punctuation, "$+<=>^~|`")), Gpt2Words, AsciiThreeDigits)),
        "default" or "" => new(new(new RunSplitter(new(CharClass.Punctuation, "$+<=>^~|")), Gpt2Words, Digits, AsciiThreeDigits)),
        "poro-chat" or "bloom" or "gpt3-finnish" => new(new(BloomWords)),
        "viking" => new(new(BloomWords, Digit)),
        "gemma4" or "granite-embed-multi-311m" => new(new(Lines), RawText: true),
        _ => null,
    };

    private static WordSplitter CamelCase(Contractions contractions, int maxDigits, bool marksInWords = false) => new()
    {
        Shape = WordShape.CamelCase,
        Contractions = contractions,
        MaxDigits = maxDigits,
        MarksInWords = marksInWords,
        MarksInPunctuation = true,
        PunctuationTail = "\r\n/",
    };

    private static WordSplitter WordsWithMarks(int maxDigits) => new()
    {
        Shape = WordShape.AnyPrefix,
        Contractions = Contractions.Suffix,
        MaxDigits = maxDigits,
        MarksInWords = true,
        MarksInPunctuation = true,
        PunctuationTail = "\r\n/",
    };

    private static readonly RunSplitter WidePunctuation =
        new(new(0, ranges: "21-2F 3A-7E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002"), prefix: RunPrefix.Whitespace);

    private static readonly RunSplitter BloomWords =
        new(new(CharClass.Whitespace, "(|.,!?…。，、।۔،)", negated: true), prefix: RunPrefix.Space);

    private static readonly RunSplitter Lines = new(new(0, "\n", negated: true));
}
