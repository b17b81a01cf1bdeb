using System.Buffers;
using System.Text;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>What all tokenizers share: added tokens go first, the algorithm of the family encodes the text between them.</summary>
internal abstract class VocabularyTokenizer(Vocabulary vocabulary) : Tokenizer
{
    private readonly AddedTokens addedTokens = new(vocabulary);

    protected Vocabulary Vocabulary => vocabulary;

    public override int VocabularySize => vocabulary.Count;
    public override int? Bos => vocabulary.Bos;
    public override int? Eos => vocabulary.Eos;
    public override bool AddBos => vocabulary.AddBos && vocabulary.Bos is not null;
    public override bool AddEos => vocabulary.AddEos && vocabulary.Eos is not null;
    public override IReadOnlySet<int> EndOfGeneration => vocabulary.EndOfGeneration;

    public sealed override int[] Encode(string text, IReadOnlyList<Range>? trusted = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        (int Start, int End)[] trustedBytes = TrustedRanges.ToUtf8(text, trusted);

        // Lone surrogates become U+FFFD, so what follows is valid UTF-8.
        byte[] buffer = Scratch.Take<byte>(Encoding.UTF8.GetByteCount(text));
        int length = Encoding.UTF8.GetBytes(text, buffer);
        ReadOnlySpan<byte> utf8 = buffer.AsSpan(0, length);
        try
        {
            var ids = new List<int>(length / 4);
            bool afterToken = true;
            foreach (TextFragment fragment in addedTokens.Split(utf8, trustedBytes))
            {
                if (fragment.Token >= 0)
                {
                    ids.Add(fragment.Token);
                }
                else
                {
                    EncodeText(utf8[fragment.Start..fragment.End], afterToken, ids);
                }

                afterToken = fragment.Token >= 0;
            }

            return [.. ids];
        }
        finally
        {
            // It held somebody's prompt.
            buffer.AsSpan(0, length).Clear();
            Scratch.Clear(buffer);
        }
    }

    public sealed override bool IsControl(int id) => vocabulary.Has(Checked(id), TokenAttributes.Control | TokenAttributes.Unknown);

    public sealed override ReadOnlySpan<byte> Bytes(int id, bool special = false) => IsControl(id) && !special ? [] : vocabulary.Bytes(id);

    public override string Decode(ReadOnlySpan<int> ids, bool special = false)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(16, ids.Length * 4));
        foreach (int id in ids)
        {
            bytes.Write(Bytes(id, special));
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>Appends the ids of text without added tokens.</summary>
    /// <param name="afterToken">Whether the text begins the input or follows an added token.</param>
    protected abstract void EncodeText(ReadOnlySpan<byte> utf8, bool afterToken, List<int> ids);

    private int Checked(int id) => (uint)id < (uint)vocabulary.Count
        ? id
        : throw new ArgumentOutOfRangeException(nameof(id), id, $"the vocabulary has tokens 0 to {vocabulary.Count - 1}");
}
