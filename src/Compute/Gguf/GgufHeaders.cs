namespace Lamina.Compute.Gguf;

/// <summary>Small GGUF files that carry metadata and no tensors.</summary>
public static class GgufHeaders
{
    /// <summary>
    /// The metadata that a stage needs, as a GGUF file of some kilobytes: without the vocabulary's arrays and chat templates, but with
    /// <c>{architecture}.vocab_size</c>, which otherwise only the vocabulary tells.
    /// </summary>
    public static byte[] WithoutTokenizer(GgufMetadata metadata)
    {
        var builder = new GgufMetadataBuilder(metadata);
        foreach ((string key, GgufValue value) in metadata.Pairs)
        {
            bool bulky = value.IsArray || key.StartsWith("tokenizer.chat_template", StringComparison.Ordinal);
            if (bulky && key.StartsWith("tokenizer.", StringComparison.Ordinal))
            {
                builder.Remove(key);
            }
        }

        string sizeKey = $"{metadata.FindString("general.architecture")}.vocab_size";
        if (!metadata.Contains(sizeKey) && metadata.FindCount("tokenizer.ggml.tokens") is { } count)
        {
            builder.Set(sizeKey, count);
        }

        return GgufWriter.ToBytes(builder.Build(), []);
    }

    /// <summary>What the last stage needs to sample by texts: all that the vocabulary consists of, without chat templates.</summary>
    public static byte[] TokenizerAlone(GgufMetadata metadata)
    {
        var builder = new GgufMetadataBuilder();
        foreach ((string key, GgufValue value) in metadata.Pairs)
        {
            if (key.StartsWith("tokenizer.", StringComparison.Ordinal) && !key.StartsWith("tokenizer.chat_template", StringComparison.Ordinal))
            {
                builder.Set(key, value);
            }
        }

        return GgufWriter.ToBytes(builder.Build(), []);
    }
}
