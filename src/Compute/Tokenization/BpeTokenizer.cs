using System.Text;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization.Merging;
using Lamina.Compute.Tokenization.PreTokenizing;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>
/// Byte-pair encoding: the text is cut into pieces, each begins as single bytes (or characters, where the vocabulary is plain text), and neighbours merge in the order
/// of the list of merges.
/// </summary>
internal sealed class BpeTokenizer : VocabularyTokenizer
{
    private const string MergesKey = "tokenizer.ggml.merges";

    private readonly PreTokenizerRule rule;

    // Symbols are the byte strings of tokens and of merges; not every one is a token.
    private readonly ByteStringTable symbols;
    private readonly List<int> tokenOf = [];
    private readonly int[] symbolOfByte = new int[256];
    private readonly int[] tokenOfByte = new int[256];
    private readonly PairTable merges;

    // By symbol: whether merging its own bytes gives it back as one; found out when first met.
    private readonly Wholeness[] wholeness;

    public BpeTokenizer(Vocabulary vocabulary, GgufMetadata metadata, PreTokenizerRule rule)
        : base(vocabulary)
    {
        this.rule = rule;
        ReadOnlyMemory<byte>[] lines = metadata.FindUtf8Strings(MergesKey) ?? throw new InvalidDataException($"the file has no key '{MergesKey}'");
        symbols = new ByteStringTable(vocabulary.Count + 256);
        AddTokens();
        AddBytes();
        merges = new PairTable(lines.Length);
        AddMerges(lines);
        wholeness = new Wholeness[symbols.Count];
    }

    private enum Wholeness : byte
    {
        Unknown,
        Whole,
        Parts,
    }

    protected override void EncodeText(ReadOnlySpan<byte> utf8, bool afterToken, List<int> ids)
    {
        if (!rule.RawText)
        {
            Split(utf8, ids);
            return;
        }

        byte[] escaped = Scratch.Take<byte>(VisibleSpaces.MaxEscapedLength(utf8.Length));
        int length = VisibleSpaces.Escape(utf8, spaceBefore: false, escaped);
        Split(escaped.AsSpan(0, length), ids);
        escaped.AsSpan(0, length).Clear();
        Scratch.Clear(escaped);
    }

    private void Split(ReadOnlySpan<byte> text, List<int> ids)
    {
        using var memo = new PieceMemo(text.Length);
        var encoder = new Encoder(this, memo, ids);
        rule.PreTokenizer.Split(text, ref encoder);
    }

    private void Encode(ReadOnlySpan<byte> text, int start, int end, PieceMemo memo, List<int> ids)
    {
        ReadOnlySpan<byte> piece = text[start..end];
        uint hash = ByteStringTable.Hash(piece);
        int symbol = symbols.Find(piece, hash);
        if (symbol >= 0 && tokenOf[symbol] >= 0 && IsWhole(symbol, piece))
        {
            ids.Add(tokenOf[symbol]);
        }
        else if (!memo.TryRepeat(text, piece, hash, ids))
        {
            int firstId = ids.Count;
            Merge(piece, ids);
            memo.Remember(start, piece.Length, hash, firstId, ids.Count - firstId);
        }
    }

    private bool IsWhole(int symbol, ReadOnlySpan<byte> piece)
    {
        // Gemma 4 keeps runs of line ends whole whatever its merges say.
        if (rule.WholeWordsFirst || (rule.RawText && piece[0] == '\n'))
        {
            return true;
        }

        if (wholeness[symbol] == Wholeness.Unknown)
        {
            var ids = new List<int>();
            Merge(piece, ids);
            wholeness[symbol] = ids is [int id] && id == tokenOf[symbol] ? Wholeness.Whole : Wholeness.Parts;
        }

        return wholeness[symbol] == Wholeness.Whole;
    }

    private void Merge(ReadOnlySpan<byte> piece, List<int> ids)
    {
        Symbol[]? rented = piece.Length > 64 ? Scratch.Take<Symbol>(piece.Length) : null;
        Span<Symbol> parts = rented ?? stackalloc Symbol[64];
        int count = rule.RawText ? SplitCharacters(piece, parts) : SplitBytes(piece, parts);
        count = SymbolMerger.Merge(piece, parts[..count], new Rules(merges));
        foreach (Symbol part in parts[..count])
        {
            int token = part.Id >= 0 ? tokenOf[part.Id] : -1;
            if (token >= 0)
            {
                ids.Add(token);
                continue;
            }

            foreach (byte value in piece[part.Start..part.End])
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

    private int SplitBytes(ReadOnlySpan<byte> piece, Span<Symbol> parts)
    {
        for (int i = 0; i < piece.Length; i++)
        {
            parts[i] = new Symbol(i, i + 1, symbolOfByte[piece[i]]);
        }

        return piece.Length;
    }

    private int SplitCharacters(ReadOnlySpan<byte> piece, Span<Symbol> parts)
    {
        int count = 0;
        for (int start = 0; start < piece.Length;)
        {
            CharClasses.CodePointAt(piece, start, out int length);
            parts[count++] = new Symbol(start, start + length, symbols.Find(piece.Slice(start, length)));
            start += length;
        }

        return count;
    }

    private void AddTokens()
    {
        byte[] buffer = new byte[TokenizerLimits.TokenBytes];
        for (int id = 0; id < Vocabulary.Count; id++)
        {
            if (Vocabulary.IsReachable(id) && TryDecode(Vocabulary.Text(id), buffer, out ReadOnlySpan<byte> bytes))
            {
                int symbol = AddSymbol(bytes);
                tokenOf[symbol] = id;
            }
        }
    }

    private void AddBytes()
    {
        for (int value = 0; value < 256; value++)
        {
            byte[] single = [(byte)value];
            symbolOfByte[value] = rule.RawText ? -1 : AddSymbol(single);
            int named = rule.RawText ? symbols.Find(Encoding.ASCII.GetBytes($"<0x{value:X2}>")) : symbolOfByte[value];
            tokenOfByte[value] = named >= 0 ? tokenOf[named] : -1;
        }
    }

    private void AddMerges(ReadOnlyMemory<byte>[] lines)
    {
        byte[] buffer = new byte[2 * TokenizerLimits.TokenBytes];
        for (int rank = 0; rank < lines.Length; rank++)
        {
            ReadOnlySpan<byte> line = lines[rank].Span;
            int space = line.Length < 2 ? -1 : line[1..].IndexOf((byte)' ') + 1;
            if (space <= 0 || line.Length > TokenizerLimits.TokenBytes)
            {
                throw new InvalidDataException($"'{MergesKey}' has at {rank} a line of {line.Length} bytes that is not two parts with a space between");
            }

            // A part with a character outside the alphabet never meets a text.
            if (TryDecode(line[..space], buffer, out ReadOnlySpan<byte> left) && TryDecode(line[(space + 1)..], buffer.AsSpan(left.Length), out ReadOnlySpan<byte> right))
            {
                // The parts stand one behind the other in the buffer.
                merges.TryAdd(AddSymbol(left), AddSymbol(right), rank, AddSymbol(buffer.AsSpan(0, left.Length + right.Length)));
            }
        }
    }

    /// <summary>The bytes a text of the file stands for; the text itself where the vocabulary is plain text.</summary>
    private bool TryDecode(ReadOnlySpan<byte> text, Span<byte> buffer, out ReadOnlySpan<byte> bytes)
    {
        int written = text.Length;
        bool decoded = true;
        if (rule.RawText)
        {
            text.CopyTo(buffer);
        }
        else
        {
            decoded = ByteAlphabet.TryDecode(text, buffer, out written);
        }

        bytes = buffer[..written];
        return decoded && written > 0;
    }

    private int AddSymbol(ReadOnlySpan<byte> bytes)
    {
        int symbol = symbols.GetOrAdd(bytes);
        if (symbol == tokenOf.Count)
        {
            tokenOf.Add(-1);
        }

        return symbol;
    }

    private readonly struct Rules(PairTable merges) : IMergeRules
    {
        public bool TryMerge(ReadOnlySpan<byte> text, Symbol left, Symbol right, out uint priority, out int merged)
        {
            merged = -1;
            priority = 0;
            if (left.Id < 0 || right.Id < 0 || !merges.TryGet(left.Id, right.Id, out int rank, out merged))
            {
                return false;
            }

            priority = (uint)rank;
            return true;
        }
    }

    private readonly ref struct Encoder(BpeTokenizer tokenizer, PieceMemo memo, List<int> ids) : IPieceSink
    {
        private readonly PieceMemo memo = memo;

        public void Piece(ReadOnlySpan<byte> text, int start, int end) => tokenizer.Encode(text, start, end, memo, ids);
    }
}
