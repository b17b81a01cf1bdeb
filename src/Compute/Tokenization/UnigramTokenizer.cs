using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>What is done to a text before a Unigram vocabulary is matched.</summary>
/// <param name="Characters">Replacements, or null for none.</param>
internal sealed record UnigramNormalization(CharacterMap? Characters, bool AddSpacePrefix, bool MergeSpaces);

/// <summary>SentencePiece's Unigram model: of all ways to cover the text with tokens the one of the highest total score (Viterbi).</summary>
internal sealed class UnigramTokenizer : VocabularyTokenizer
{
    // What an unknown character costs beyond the least likely token.
    private const float UnknownPenalty = 10;

    private readonly UnigramNormalization normalization;
    private readonly ByteTrie tokens;
    private readonly ByteTrie userDefined;
    private readonly float unknownScore;
    private readonly int unknown;

    public UnigramTokenizer(Vocabulary vocabulary, UnigramNormalization normalization)
        : base(vocabulary)
    {
        this.normalization = normalization;
        unknown = vocabulary.Unknown ?? throw new InvalidDataException("a Unigram vocabulary needs 'tokenizer.ggml.unknown_token_id'");
        tokens = PrefixTokens.Build(vocabulary, id => vocabulary.IsReachable(id) && !vocabulary.Has(id, TokenAttributes.Byte));
        userDefined = PrefixTokens.Build(vocabulary, id => vocabulary.Has(id, TokenAttributes.UserDefined));

        float least = float.MaxValue;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            least = vocabulary.Has(id, TokenAttributes.Normal) ? Math.Min(least, vocabulary.Score(id)) : least;
        }

        unknownScore = least - UnknownPenalty;
    }

    public override string Decode(ReadOnlySpan<int> ids, bool special = false)
    {
        string text = base.Decode(ids, special);
        bool prefixed = normalization.AddSpacePrefix && ids.Length > 0 && Bytes(ids[0], special) is [(byte)' ', ..];
        return prefixed ? text[1..] : text;
    }

    protected override void EncodeText(ReadOnlySpan<byte> utf8, bool afterToken, List<int> ids)
    {
        byte[] text = Normalize(utf8);
        var best = new Step[text.Length + 1];
        Array.Fill(best, new Step(unknown, 0, double.NegativeInfinity));
        best[0] = new Step(unknown, 0, 0);

        for (int start = 0; start < text.Length;)
        {
            int characterLength = CharacterLength(text.AsSpan(start));
            double score = best[start].Score;
            bool covered = false;
            int node = 0;
            for (int end = start; end < text.Length;)
            {
                node = tokens.Child(node, text[end++]);
                if (node == 0)
                {
                    break;
                }

                if (tokens.Value(node) is >= 0 and int token)
                {
                    covered |= end - start == characterLength;
                    Offer(best, end, new Step(token, start, score + (Vocabulary.Has(token, TokenAttributes.UserDefined) ? 0 : Vocabulary.Score(token))));
                }
            }

            if (!covered)
            {
                Offer(best, start + characterLength, new Step(unknown, start, score + unknownScore));
            }

            start += characterLength;
        }

        AddPath(best, ids);
    }

    private static void Offer(Step[] best, int end, Step step)
    {
        if (step.Score > best[end].Score)
        {
            best[end] = step;
        }
    }

    /// <summary>Appends the best path's tokens, neighbouring unknown ones as one.</summary>
    private void AddPath(Step[] best, List<int> ids)
    {
        int firstId = ids.Count;
        bool afterUnknown = false;
        for (int end = best.Length - 1; end > 0; end = best[end].Start)
        {
            bool isUnknown = best[end].Token == unknown;
            if (!isUnknown || !afterUnknown)
            {
                ids.Add(best[end].Token);
            }

            afterUnknown = isUnknown;
        }

        ids.Reverse(firstId, ids.Count - firstId);
    }

    private byte[] Normalize(ReadOnlySpan<byte> text)
    {
        var output = new List<byte>(text.Length * 2);
        bool prefixed = false;
        bool inWord = false;
        for (int position = 0; position < text.Length;)
        {
            ReadOnlySpan<byte> normalized = NormalizePrefix(text[position..], out int consumed);
            foreach (byte unit in normalized)
            {
                if (unit == ' ')
                {
                    inWord = false;
                    if (!normalization.MergeSpaces)
                    {
                        output.AddRange(VisibleSpaces.Space);
                    }

                    continue;
                }

                if (!inWord && ((normalization.AddSpacePrefix && !prefixed) || normalization.MergeSpaces))
                {
                    output.AddRange(VisibleSpaces.Space);
                    prefixed = true;
                }

                inWord = true;
                output.Add(unit);
            }

            position += consumed;
        }

        return [.. output];
    }

    /// <summary>The replacement of the longest prefix that has one, else the first character.</summary>
    private ReadOnlySpan<byte> NormalizePrefix(ReadOnlySpan<byte> text, out int consumed)
    {
        // What begins like a user-defined token is left as it is, in whole characters.
        consumed = 0;
        int node = 0;
        int matched = 0;
        while (matched < text.Length && (node = userDefined.Child(node, text[matched])) != 0)
        {
            matched++;
        }

        while (consumed < matched && consumed + CharacterLength(text[consumed..]) is var next && next <= matched)
        {
            consumed = next;
        }

        if (consumed > 0)
        {
            return text[..consumed];
        }

        if (normalization.Characters is { } characters && characters.TryReplace(text, out ReadOnlySpan<byte> replacement, out consumed))
        {
            return replacement;
        }

        consumed = CharacterLength(text);
        return text[..consumed];
    }

    /// <summary>Bytes of the first character by its lead byte; replacements come from the file and need not be valid UTF-8.</summary>
    private static int CharacterLength(ReadOnlySpan<byte> text) => Math.Min(text.Length, text[0] switch { < 0xC0 => 1, < 0xE0 => 2, < 0xF0 => 3, _ => 4 });

    /// <param name="Start">Where the token that ends here begins.</param>
    private readonly record struct Step(int Token, int Start, double Score);
}
