using System.Text;
using Lamina.Compute.Tokenization;

namespace Lamina.Kernels.Bench;

/// <summary>
/// A vocabulary like those of 128k tokens that are published: words with and without a space and a capital before them, several scripts, numbers, punctuation as code and JSON have it.
/// </summary>
internal sealed class MadeUpTokenizer : Tokenizer
{
    private const int Size = 128_256;
    private static readonly string[] Onsets = ["", "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "ch", "pl"];
    private static readonly string[] Nuclei = ["a", "e", "i", "o", "u", "ea", "io", "ou"];
    private static readonly string[] Codas = ["", "", "n", "r", "s", "t", "l", "ng", "ck", "st"];
    private static readonly string[] Marks = ["{", "}", "[", "]", "(", ")", "\"", "'", ":", ",", ";", ".", " ", "  ", "\n", "\t", "=", "<", ">", "/", "\\", "-", "_", "*", "#", "!", "?", "&", "|"];

    private readonly byte[][] _texts;

    public MadeUpTokenizer()
    {
        var random = new Random(128);
        var texts = new HashSet<string>();
        var tokens = new List<byte[]>(Enumerable.Range(0, 256).Select(value => new[] { (byte)value }));
        while (tokens.Count < Size - 256)
        {
            string text = Next(random);
            if (Encoding.UTF8.GetByteCount(text) > 1 && texts.Add(text))
            {
                tokens.Add(Encoding.UTF8.GetBytes(text));
            }
        }

        while (tokens.Count < Size)
        {
            tokens.Add([]);
        }

        _texts = [.. tokens];
    }

    public override int VocabularySize => Size;

    public override int? Bos => Size - 256;

    public override int? Eos => Size - 1;

    public override bool AddBos => false;

    public override bool AddEos => false;

    public override IReadOnlySet<int> EndOfGeneration { get; } = new HashSet<int> { Size - 1 };

    public override int[] Encode(string text, IReadOnlyList<Range>? trusted = null) => [.. Encoding.UTF8.GetBytes(text).Select(value => (int)value)];

    public override bool IsControl(int id) => id >= Size - 256;

    public override ReadOnlySpan<byte> Bytes(int id, bool special = false) => _texts[id];

    public override string Decode(ReadOnlySpan<int> ids, bool special = false) => Encoding.UTF8.GetString([.. ids.ToArray().SelectMany(id => _texts[id])]);

    private static string Next(Random random) => random.Next(20) switch
    {
        0 => random.Next(1000).ToString(System.Globalization.CultureInfo.InvariantCulture),
        1 or 2 => string.Concat(Enumerable.Range(0, random.Next(2, 6)).Select(_ => Marks[random.Next(Marks.Length)])),
        3 => (random.Next(2) == 0 ? " " : "") + string.Concat(Enumerable.Range(0, random.Next(2, 9)).Select(_ => (char)(0x430 + random.Next(32)))),
        4 => string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => (char)(0x4E00 + random.Next(6000)))),
        5 => string.Concat(Enumerable.Range(0, random.Next(2, 6)).Select(_ => (char)(0x620 + random.Next(40)))),
        _ => Word(random),
    };

    private static string Word(Random random)
    {
        string word = string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => Onsets[random.Next(Onsets.Length)] + Nuclei[random.Next(Nuclei.Length)] + Codas[random.Next(Codas.Length)]));
        word = random.Next(3) == 0 ? char.ToUpperInvariant(word[0]) + word[1..] : word;
        return random.Next(2) == 0 ? " " + word : word;
    }
}
