using System.Text;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Synthesis;

/// <summary>
/// A valid byte-level BPE vocabulary of any size from 512: the 256 bytes, then all words of two, three and four lower-case letters, each merged from a
/// shorter one, then control tokens.
/// </summary>
internal static class SyntheticVocabulary
{
    public const int Smallest = 512;
    private const int Bytes = 256;
    private const int Letters = 26;
    private const int NormalType = 1;
    private const int ControlType = 3;
    private static readonly string[] Controls = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];

    private const string ChatTemplate =
        "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n{{ message['content'] }}<|eot_id|>{% endfor %}"
        + "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

    /// <param name="extraControls">Control tokens that readers of an architecture look for by name.</param>
    public static void Write(GgufMetadataBuilder metadata, int size, params ReadOnlySpan<string> extraControls)
    {
        // Published vocabularies of this family end in 256 control tokens.
        int controls = Math.Min(256, size / 16);
        if (size < Smallest || size > Bytes + MaxWords + controls)
        {
            throw new ArgumentException($"a synthetic vocabulary has {Smallest} to {Bytes + MaxWords + controls} tokens, not {size}");
        }

        var tokens = new List<string>(size);
        var merges = new List<string>(size);
        for (int value = 0; value < Bytes; value++)
        {
            tokens.Add(ByteSymbol(value).ToString());
        }

        for (int word = 0; tokens.Count < size - controls; word++)
        {
            (string left, string right) = Word(word);
            tokens.Add(left + right);
            merges.Add($"{left} {right}");
        }

        int firstControl = tokens.Count;
        tokens.AddRange(Controls);
        tokens.AddRange(extraControls);
        for (int reserved = 0; tokens.Count < size; reserved++)
        {
            tokens.Add($"<|reserved_special_token_{reserved}|>");
        }

        metadata
            .Set("tokenizer.ggml.model", "gpt2")
            .Set("tokenizer.ggml.pre", "llama-bpe")
            .Set("tokenizer.ggml.tokens", tokens)
            .Set("tokenizer.ggml.token_type", tokens.Select((_, id) => id < firstControl ? NormalType : ControlType).ToArray())
            .Set("tokenizer.ggml.merges", merges)
            .Set("tokenizer.ggml.bos_token_id", firstControl)
            .Set("tokenizer.ggml.eos_token_id", firstControl + 4)
            .Set("tokenizer.ggml.add_bos_token", true)
            .Set("tokenizer.chat_template", ChatTemplate);
    }

    private const int Pairs = Letters * Letters;
    private const int Triples = Pairs * Letters;
    private const int MaxWords = Pairs + Triples + (Pairs * Pairs);

    /// <summary>The two parts that make word number <paramref name="index"/>; both stand before it in the vocabulary.</summary>
    private static (string Left, string Right) Word(int index)
    {
        if (index < Pairs)
        {
            return (Letter(index / Letters), Letter(index % Letters));
        }

        index -= Pairs;
        if (index < Triples)
        {
            return (Pair(index / Letters), Letter(index % Letters));
        }

        index -= Triples;
        return (Pair(index / Pairs), Pair(index % Pairs));
    }

    private static string Letter(int index) => ((char)('a' + index)).ToString();

    private static string Pair(int index) => Letter(index / Letters) + Letter(index % Letters);

    /// <summary>GPT-2's printable stand-in for a byte: itself where it is a visible Latin-1 character, else U+0100 and up in order.</summary>
    private static Rune ByteSymbol(int value)
    {
        static bool Visible(int b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255);
        return new Rune(Visible(value) ? value : 256 + Enumerable.Range(0, value).Count(b => !Visible(b)));
    }
}
