using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization.PreTokenizing;
using Lamina.Compute.Tokenization.Vocabularies;

namespace Lamina.Compute.Tokenization;

/// <summary>Chooses the algorithm by <c>tokenizer.ggml.model</c>, with the defaults that files of its kind leave out.</summary>
internal static class TokenizerFactory
{
    private const string Prefix = "tokenizer.ggml.";

    public static Tokenizer Create(GgufMetadata metadata)
    {
        string model = metadata.GetString(Prefix + "model");
        return model switch
        {
            "llama" => Spm(metadata),
            "gpt2" or "gemma4" => Bpe(metadata, model),
            "bert" => WordPiece(metadata),
            "t5" => Unigram(metadata),
            _ => throw new NotSupportedException($"tokenizer model '{model}' is not supported; supported are llama, gpt2, gemma4, bert and t5"),
        };
    }

    private static SpmTokenizer Spm(GgufMetadata metadata)
    {
        // A file that does not ask for BOS gets none, also here, where llama.cpp would add one.
        var defaults = new VocabularyDefaults(TextForm.VisibleSpaces, AddBos: false, Bos: 1, Eos: 2, Unknown: 0);
        return new SpmTokenizer(new VocabularyReader(metadata).Read(defaults), metadata.FindBool(Prefix + "add_space_prefix") ?? true);
    }

    private static BpeTokenizer Bpe(GgufMetadata metadata, string model)
    {
        string pre = model == "gemma4" ? model : metadata.FindString(Prefix + "pre") ?? "default";
        PreTokenizerRule rule = PreTokenizers.Find(pre) ?? throw new NotSupportedException($"pre-tokenizer '{pre}' is not supported");
        var defaults = new VocabularyDefaults(rule.RawText ? TextForm.VisibleSpaces : TextForm.ByteAlphabet, rule.AddBos);
        return new BpeTokenizer(new VocabularyReader(metadata).Read(defaults), metadata, rule);
    }

    private static WordPieceTokenizer WordPiece(GgufMetadata metadata)
    {
        // Every text stands between [CLS] and [SEP]; files do not say so.
        var defaults = new VocabularyDefaults(TextForm.VisibleSpaces, AddBos: true, Bos: 101, Eos: 102, Unknown: 100) { EosKey = "seperator_token_id" };
        bool lowercase = metadata.FindBool(Prefix + "normalizer.lowercase") ?? true;
        bool stripAccents = metadata.FindBool(Prefix + "normalizer.strip_accents") ?? lowercase;
        return new WordPieceTokenizer(new VocabularyReader(metadata).Read(defaults), lowercase, stripAccents);
    }

    private static UnigramTokenizer Unigram(GgufMetadata metadata)
    {
        const string MapKey = Prefix + "precompiled_charsmap";
        CharacterMap? characters = metadata.Find(MapKey) is { } map
            ? map.IsArray && map.ElementType is GgufValueType.Int8 or GgufValueType.UInt8
                ? new CharacterMap(map.Raw.Span)
                : throw new InvalidDataException($"'{MapKey}' is {map.Describe()}, expected UInt8[]")
            : null;
        var normalization = new UnigramNormalization(
            characters, metadata.FindBool(Prefix + "add_space_prefix") ?? false, metadata.FindBool(Prefix + "remove_extra_whitespaces") ?? false);
        var defaults = new VocabularyDefaults(TextForm.VisibleSpaces, AddEos: true, Eos: 1, Unknown: 2);
        return new UnigramTokenizer(new VocabularyReader(metadata).Read(defaults), normalization);
    }
}
