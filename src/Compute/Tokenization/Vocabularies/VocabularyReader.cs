using System.Text;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>What holds for a kind of tokenizer where the file does not say.</summary>
internal sealed record VocabularyDefaults(TextForm Form, bool AddBos = false, bool AddEos = false, int? Bos = null, int? Eos = null, int? Unknown = null)
{
    /// <summary>Ends a text in place of EOS: BERT's separator.</summary>
    public string? EosKey { get; init; }
}

/// <summary>Reads and checks the vocabulary of a GGUF file.</summary>
internal sealed class VocabularyReader(GgufMetadata metadata)
{
    private const string Prefix = "tokenizer.ggml.";
    private const string TokensKey = Prefix + "tokens";

    // Kinds of tokens in the file, by number: undefined, normal, unknown, control, user-defined, unused, byte.
    private static readonly TokenAttributes[] Kinds =
    [
        TokenAttributes.None, TokenAttributes.Normal, TokenAttributes.Unknown | TokenAttributes.TrustedOnly, TokenAttributes.Control | TokenAttributes.TrustedOnly,
        TokenAttributes.UserDefined, TokenAttributes.None, TokenAttributes.Byte,
    ];

    public Vocabulary Read(VocabularyDefaults defaults)
    {
        ReadOnlyMemory<byte>[] tokens = ReadTokens();
        int count = tokens.Length;
        TokenAttributes[] attributes = ReadAttributes(count);
        float[]? scores = ReadScores(count);

        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int id = 0; id < count; id++)
        {
            // Only short texts are looked up by name; a later duplicate replaces an earlier one.
            if (tokens[id].Length <= 64)
            {
                ids[Encoding.UTF8.GetString(tokens[id].Span)] = id;
            }
        }

        int? IdOf(string text) => ids.TryGetValue(text, out int id) ? id : null;
        int? IdOfKey(string name) => ReadId(name, count);
        int? InRange(int? id) => id < count ? id : null;

        int? eos = IdOfKey(defaults.EosKey ?? "eos_token_id") ?? InRange(defaults.Eos);
        HashSet<int> ends = SpecialTokens.FindEndOfGeneration(IdOf, IdOfKey, eos, attributes);
        MarkStripping(attributes, IdOf);

        return new Vocabulary(tokens, attributes, scores, defaults.Form)
        {
            Bos = IdOfKey("bos_token_id") ?? InRange(defaults.Bos),
            Eos = eos,
            Unknown = IdOfKey("unknown_token_id") ?? InRange(defaults.Unknown),
            AddBos = metadata.FindBool(Prefix + "add_bos_token") ?? defaults.AddBos,
            AddEos = defaults.EosKey is not null || (metadata.FindBool(Prefix + "add_eos_token") ?? defaults.AddEos),
            EndOfGeneration = ends,
        };
    }

    private ReadOnlyMemory<byte>[] ReadTokens()
    {
        ReadOnlyMemory<byte>[] tokens = metadata.FindUtf8Strings(TokensKey) ?? throw new InvalidDataException($"the file has no key '{TokensKey}'");
        if (tokens.Length is 0 or > TokenizerLimits.Tokens)
        {
            throw new InvalidDataException($"'{TokensKey}' has {tokens.Length} tokens, expected 1 to {TokenizerLimits.Tokens}");
        }

        int longest = Array.FindIndex(tokens, token => token.Length > TokenizerLimits.TokenBytes);
        return longest < 0
            ? tokens
            : throw new InvalidDataException($"'{TokensKey}' has a token of {tokens[longest].Length} bytes at {longest}, expected at most {TokenizerLimits.TokenBytes}");
    }

    private TokenAttributes[] ReadAttributes(int count)
    {
        var attributes = new TokenAttributes[count];
        if (metadata.FindInt32s(Prefix + "token_type") is not { } types)
        {
            Array.Fill(attributes, TokenAttributes.Normal);
            return attributes;
        }

        CheckLength("token_type", types.Length, count);
        for (int id = 0; id < count; id++)
        {
            attributes[id] = (uint)types[id] < (uint)Kinds.Length ? Kinds[types[id]] : TokenAttributes.None;
        }

        return attributes;
    }

    private float[]? ReadScores(int count)
    {
        const string Key = Prefix + "scores";
        if (metadata.Find(Key) is not { } value)
        {
            return null;
        }

        float[] scores = GgufValueTypes.IsInteger(value.ElementType) ? Array.ConvertAll(metadata.FindInt32s(Key)!, score => (float)score) : metadata.FindFloats(Key)!;
        CheckLength("scores", scores.Length, count);
        for (int id = 0; id < scores.Length; id++)
        {
            scores[id] = float.IsNaN(scores[id]) ? float.NegativeInfinity : scores[id];
        }

        return scores;
    }

    private static void CheckLength(string name, int found, int expected)
    {
        if (found < expected)
        {
            throw new InvalidDataException($"'{Prefix}{name}' has {found} elements, expected {expected}, one for each token");
        }
    }

    /// <summary>Published files carry ids that no token has, meaning none.</summary>
    private int? ReadId(string name, int count)
    {
        string key = Prefix + name;
        if (metadata.Find(key) is not { IsArray: false } value || !GgufValueTypes.IsInteger(value.Type))
        {
            return metadata.Contains(key) ? metadata.FindInt32(key) : null;
        }

        Int128 id = value.Integer(0);
        return id >= 0 && id < count ? (int)id : null;
    }

    /// <summary>GGUF does not say which special tokens swallow white space beside them; it is known by model.</summary>
    private void MarkStripping(TokenAttributes[] attributes, Func<string, int?> idOf)
    {
        string pre = metadata.FindString(Prefix + "pre") ?? "";
        string architecture = metadata.FindString("general.architecture") ?? "";
        string name = (metadata.FindString("general.name") ?? "").ToLowerInvariant();

        if (pre.Contains("jina-v2-", StringComparison.Ordinal) || architecture is "nomic-bert-moe" or "jina-bert-v3")
        {
            Mark("<mask>", TokenAttributes.StripLeft);
        }
        else if (name.Contains("phi-3", StringComparison.Ordinal) || name.Contains("phi3", StringComparison.Ordinal))
        {
            for (int id = 0; id < attributes.Length; id++)
            {
                if ((attributes[id] & (TokenAttributes.Control | TokenAttributes.UserDefined | TokenAttributes.Unknown)) != 0)
                {
                    attributes[id] |= TokenAttributes.StripRight;
                }
            }

            foreach (string text in new[] { "<unk>", "<s>", "<|endoftext|>" })
            {
                if (idOf(text) is { } id)
                {
                    attributes[id] &= ~TokenAttributes.StripRight;
                }
            }
        }
        else if (name.Contains("modern-bert", StringComparison.Ordinal))
        {
            Mark("[MASK]", TokenAttributes.StripLeft);
        }

        void Mark(string text, TokenAttributes attribute)
        {
            if (idOf(text) is { } id)
            {
                attributes[id] |= attribute;
            }
        }
    }
}
