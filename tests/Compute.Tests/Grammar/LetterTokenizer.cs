using System.Text;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>A vocabulary made by hand: all bytes, then some longer tokens, then the end.</summary>
internal sealed class LetterTokenizer(params string[] words) : Tokenizer
{
    private readonly byte[][] _texts = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value }), .. words.Select(Encoding.UTF8.GetBytes), []];

    public override int VocabularySize => _texts.Length;

    public override int? Bos => null;

    public override int? Eos => _texts.Length - 1;

    public override bool AddBos => false;

    public override bool AddEos => false;

    public override IReadOnlySet<int> EndOfGeneration => new HashSet<int> { _texts.Length - 1 };

    public override int[] Encode(string text, IReadOnlyList<Range>? trusted = null) => [.. Encoding.UTF8.GetBytes(text).Select(value => (int)value)];

    public override bool IsControl(int id) => id == Eos;

    public override ReadOnlySpan<byte> Bytes(int id, bool special = false) => _texts[id];

    public override string Decode(ReadOnlySpan<int> ids, bool special = false) => Encoding.UTF8.GetString([.. ids.ToArray().SelectMany(id => _texts[id])]);
}
