using System.Text;
using Lamina.Compute.Tokenization.Merging;
using Lamina.Compute.Tokenization.PreTokenizing;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>
/// SentencePiece's byte-pair encoding: characters merge into tokens, the pair whose token has the highest score first; characters that are no token become byte tokens.
/// </summary>
internal sealed class SpmTokenizer : VocabularyTokenizer
{
    private readonly bool addSpacePrefix;
    private readonly ByteStringTable symbols;
    private readonly List<int> tokenOf = [];
    private readonly List<uint> priorityOf = [];
    private readonly int[] tokenOfByte = new int[256];
    private readonly int maxTokenBytes;

    // No token has a space after something else, so words cannot influence each other.
    private readonly bool wordsAreApart = true;

    public SpmTokenizer(Vocabulary vocabulary, bool addSpacePrefix)
        : base(vocabulary)
    {
        this.addSpacePrefix = addSpacePrefix;
        symbols = new ByteStringTable(vocabulary.Count);
        for (int id = 0; id < vocabulary.Count; id++)
        {
            if (!vocabulary.IsReachable(id))
            {
                continue;
            }

            ReadOnlySpan<byte> text = vocabulary.Text(id);
            int symbol = symbols.GetOrAdd(text);
            if (symbol == tokenOf.Count)
            {
                tokenOf.Add(id);
                priorityOf.Add(Priority(vocabulary.Score(id)));
            }

            tokenOf[symbol] = id;
            priorityOf[symbol] = Priority(vocabulary.Score(id));
            maxTokenBytes = Math.Max(maxTokenBytes, text.Length);
            wordsAreApart &= WordEnd(text, 0) == text.Length;
        }

        for (int value = 0; value < 256; value++)
        {
            tokenOfByte[value] = FindByteToken(value);
        }
    }

    public override string Decode(ReadOnlySpan<int> ids, bool special = false)
    {
        string text = base.Decode(ids, special);
        bool prefixed = addSpacePrefix && ids.Length > 0 && Bytes(ids[0], special) is [(byte)' ', ..];
        return prefixed ? text[1..] : text;
    }

    protected override void EncodeText(ReadOnlySpan<byte> utf8, bool afterToken, List<int> ids)
    {
        byte[] buffer = Scratch.Take<byte>(VisibleSpaces.MaxEscapedLength(utf8.Length));
        int length = VisibleSpaces.Escape(utf8, addSpacePrefix && afterToken, buffer);
        ReadOnlySpan<byte> text = buffer.AsSpan(0, length);

        using (var memo = new PieceMemo(length))
        {
            for (int start = 0; start < length;)
            {
                int end = wordsAreApart ? WordEnd(text, start) : length;
                EncodeWord(text, start, end, memo, ids);
                start = end;
            }
        }

        buffer.AsSpan(0, length).Clear();
        Scratch.Clear(buffer);
    }

    /// <summary>End of the visible spaces at <paramref name="start"/> and of what follows up to the next one.</summary>
    private static int WordEnd(ReadOnlySpan<byte> text, int start)
    {
        int position = start;
        while (text[position..].StartsWith(VisibleSpaces.Space))
        {
            position += VisibleSpaces.Space.Length;
        }

        int next = text[position..].IndexOf(VisibleSpaces.Space);
        return next < 0 ? text.Length : position + next;
    }

    private void EncodeWord(ReadOnlySpan<byte> text, int start, int end, PieceMemo memo, List<int> ids)
    {
        ReadOnlySpan<byte> word = text[start..end];
        uint hash = ByteStringTable.Hash(word);
        if (memo.TryRepeat(text, word, hash, ids))
        {
            return;
        }

        int firstId = ids.Count;
        Merge(word, ids);
        memo.Remember(start, word.Length, hash, firstId, ids.Count - firstId);
    }

    private void Merge(ReadOnlySpan<byte> word, List<int> ids)
    {
        Symbol[]? rented = word.Length > 64 ? Scratch.Take<Symbol>(word.Length) : null;
        Span<Symbol> parts = rented ?? stackalloc Symbol[64];
        int count = 0;
        for (int start = 0; start < word.Length;)
        {
            CharClasses.CodePointAt(word, start, out int length);
            parts[count++] = new Symbol(start, start + length, symbols.Find(word.Slice(start, length)));
            start += length;
        }

        count = SymbolMerger.Merge(word, parts[..count], new Rules(this));
        foreach (Symbol part in parts[..count])
        {
            if (part.Id >= 0)
            {
                ids.Add(tokenOf[part.Id]);
                continue;
            }

            foreach (byte value in word[part.Start..part.End])
            {
                if (tokenOfByte[value] >= 0)
                {
                    ids.Add(tokenOfByte[value]);
                }
            }
        }

        if (rented is not null)
        {
            Scratch.Clear(rented);
        }
    }

    /// <summary>The token of a byte by its name, as a character, or the unknown token.</summary>
    private int FindByteToken(int value)
    {
        int symbol = symbols.Find(Encoding.ASCII.GetBytes($"<0x{value:X2}>"));
        if (symbol < 0)
        {
            symbol = symbols.Find([(byte)value]);
        }

        return symbol >= 0 ? tokenOf[symbol] : Vocabulary.Unknown ?? -1;
    }

    /// <summary>Maps scores to integers of the opposite order.</summary>
    private static uint Priority(float score)
    {
        // Adding zero makes -0 equal 0, as comparing floats does.
        int bits = BitConverter.SingleToInt32Bits(score + 0f);
        uint ascending = bits < 0 ? ~(uint)bits : (uint)bits | 0x8000_0000;
        return ~ascending;
    }

    private readonly struct Rules(SpmTokenizer tokenizer) : IMergeRules
    {
        public bool TryMerge(ReadOnlySpan<byte> text, Symbol left, Symbol right, out uint priority, out int merged)
        {
            int length = right.End - left.Start;
            merged = length <= tokenizer.maxTokenBytes ? tokenizer.symbols.Find(text.Slice(left.Start, length)) : -1;
            priority = merged >= 0 ? tokenizer.priorityOf[merged] : 0;
            return merged >= 0;
        }
    }
}
