using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Compute.Tokenization.PreTokenizing;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>
/// BERT's WordPiece: the text is normalised and cut into words, punctuation and Chinese characters alone; each word is covered from left to right by the longest
/// token that fits, or is the unknown token as a whole.
/// </summary>
internal sealed class WordPieceTokenizer : VocabularyTokenizer
{
    private readonly bool lowercase;
    private readonly bool stripAccents;
    private readonly ByteTrie tokens;

    public WordPieceTokenizer(Vocabulary vocabulary, bool lowercase, bool stripAccents)
        : base(vocabulary)
    {
        this.lowercase = lowercase;
        this.stripAccents = stripAccents;
        tokens = PrefixTokens.Build(vocabulary, vocabulary.IsReachable);
    }

    protected override void EncodeText(ReadOnlySpan<byte> utf8, bool afterToken, List<int> ids)
    {
        // Words begin with a visible space in the vocabulary.
        var word = new List<byte>(64);
        while (Rune.DecodeFromUtf8(utf8, out Rune rune, out int consumed) == OperationStatus.Done)
        {
            utf8 = utf8[consumed..];
            int codePoint = stripAccents ? Decomposition.FirstOf(rune.Value) : rune.Value;
            CharClass found = CharClasses.Of(codePoint);
            if (found == CharClass.Whitespace)
            {
                EndWord(word, ids);
                continue;
            }

            if (codePoint is 0 or 0xFFFD || found == CharClass.Control || (stripAccents && found == CharClass.Mark))
            {
                continue;
            }

            bool alone = found == CharClass.Punctuation || (codePoint < 0x7F && found == CharClass.Symbol) || IsChinese(codePoint);
            if (alone)
            {
                EndWord(word, ids);
            }

            Append(word, lowercase ? ToLower(codePoint) : codePoint);
            if (alone)
            {
                EndWord(word, ids);
            }
        }

        EndWord(word, ids);
    }

    private static void Append(List<byte> word, int codePoint)
    {
        if (word.Count == 0)
        {
            word.AddRange(VisibleSpaces.Space);
        }

        Span<byte> encoded = stackalloc byte[4];
        word.AddRange(encoded[..new Rune(codePoint).EncodeToUtf8(encoded)]);
    }

    /// <summary>Simple lower case; the dotted capital I, whose full mapping is two characters, becomes a plain i.</summary>
    private static int ToLower(int codePoint) => codePoint == 0x130 ? 'i' : Rune.ToLowerInvariant(new Rune(codePoint)).Value;

    private void EndWord(List<byte> word, List<int> ids)
    {
        if (word.Count == 0)
        {
            return;
        }

        ReadOnlySpan<byte> text = CollectionsMarshal.AsSpan(word);
        int firstId = ids.Count;
        while (!text.IsEmpty)
        {
            int token = PrefixTokens.Longest(tokens, text, out int length);
            if (token < 0)
            {
                ids.RemoveRange(firstId, ids.Count - firstId);
                break;
            }

            ids.Add(token);
            text = text[length..];
        }

        if (ids.Count == firstId && Vocabulary.Unknown is { } unknown)
        {
            ids.Add(unknown);
        }

        word.Clear();
    }

    // The blocks that BERT's tokenizer lists; 2B920 is where its 2B820 went.
    private static bool IsChinese(int codePoint) => codePoint
        is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
        or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
