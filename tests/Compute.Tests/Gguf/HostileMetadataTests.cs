using System.Text;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Gguf;

/// <summary>Headers whose lengths, types and counts are not what their readers expect: refused in a sentence or read as what they are, never reinterpreted.</summary>
public sealed class HostileMetadataTests
{
    private const long LittleMemory = 1 << 20;

    private static readonly string[] s_keys =
    [
        "general.architecture", "general.name", "general.alignment", "llama.block_count", "llama.embedding_length", "llama.feed_forward_length", "llama.context_length",
        "llama.attention.head_count", "llama.attention.head_count_kv", "llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base", "llama.rope.dimension_count",
        "llama.vocab_size", "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
        "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token", "tokenizer.chat_template", "split.count", "split.no",
    ];

    /// <summary>Every place of the header that holds a length, given every length that ever broke a reader.</summary>
    [Trait("Attack", "A2")]
    [Theory]
    [InlineData("key")]
    [InlineData("value")]
    [InlineData("array element")]
    [InlineData("tensor name")]
    public void Length_OfAnyString_IsHonestOrRefused(string where)
    {
        byte[] text = "general.name"u8.ToArray();
        foreach (ulong length in new ulong[] { 0, 1, 12, 13, 64, 65, 1 << 20, (1UL << 31) - 1, 1UL << 31, 1UL << 32, long.MaxValue, 1UL << 63, ulong.MaxValue - 7, ulong.MaxValue })
        {
            byte[] file = (where switch
            {
                "key" => GgufBytes.Header(0, 1).U64(length).Raw(text).U32(4).U32(7),
                "value" => GgufBytes.Header(0, 1).Text("k").U32(8).U64(length).Raw(text),
                "array element" => GgufBytes.Header(0, 1).Text("k").U32(9).U32(8).U64(2).Text("first").U64(length).Raw(text),
                _ => GgufBytes.Header(1, 0).U64(length).Raw(text).U32(1).U64(32).U32(0).U64(0),
            }).ToArray();
            long before = GC.GetAllocatedBytesForCurrentThread();
            Exception? refusal = Record.Exception(() => GgufReader.Read(file, file.Length));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, LittleMemory);
            Assert.True(refusal is InvalidDataException || (refusal is null && length <= 12), $"{where} of length {length}: {refusal?.ToString() ?? "accepted"}");
        }
    }

    [Trait("Attack", "A2")]
    [Fact]
    public void Text_ThatIsNoUtf8_IsRefusedWhereItIsRead()
    {
        foreach (byte[] bytes in new byte[][] { [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80], [0xFF] })
        {
            byte[] key = GgufBytes.Header(0, 1).U64((ulong)bytes.Length).Raw(bytes).U32(4).U32(7).ToArray();
            Assert.Throws<InvalidDataException>(() => GgufReader.ReadMetadata(key));
            byte[] value = GgufBytes.Header(0, 1).Text("general.name").U32(8).U64((ulong)bytes.Length).Raw(bytes).ToArray();
            GgufMetadata metadata = GgufReader.ReadMetadata(value);
            Assert.Throws<InvalidDataException>(() => metadata.GetString("general.name"));
        }
    }

    /// <summary>Each key that a loader reads, as each of the thirteen types, as scalar and as arrays of no, one, one too few, the right number and one too many elements.</summary>
    [Trait("Attack", "A5")]
    [Fact]
    public void Key_OfAnyTypeAndCount_IsReadRightOrRefused()
    {
        const int Tokens = 8;
        GgufValueType[] types = [.. Enum.GetValues<GgufValueType>().Where(type => type != GgufValueType.Array)];
        Assert.Equal(12, types.Length);
        int refused = 0, read = 0;
        foreach (string key in s_keys)
        {
            foreach (GgufValueType type in types)
            {
                foreach (int count in new[] { -1, 0, 1, Tokens - 1, Tokens, Tokens + 1 })
                {
                    GgufMetadata metadata = With(key, type, count, Tokens);
                    Exception? refusal = Record.Exception(() =>
                    {
                        ModelShape.FromGguf(metadata);
                        Tokenizer tokenizer = Tokenizer.FromGguf(metadata);
                        Assert.NotNull(tokenizer.Decode(tokenizer.Encode("ab a", [])));
                    });
                    Assert.True(refusal is null or InvalidDataException or NotSupportedException, $"{key} as {type} x {count}: {refusal}");
                    _ = refusal is null ? read++ : refused++;
                }
            }
        }

        Assert.InRange(refused, 500, 2000);
        Assert.InRange(read, 20, 1500);
    }

    /// <summary>Each number that a loader reads, written as each type that can hold it: its value exactly where the type is of the right kind, else refused.</summary>
    [Trait("Attack", "A5")]
    [Fact]
    public void Number_OfAnyType_IsExactOrRefused()
    {
        foreach ((string key, double value, bool real, Func<GgufMetadata, double> read) in Numbers())
        {
            foreach (GgufValueType type in Enum.GetValues<GgufValueType>().Where(type => type is not (GgufValueType.Array or GgufValueType.String)))
            {
                GgufMetadata metadata = Base(8).Set(key, GgufValue.Scalar(type, Encode(value, type, out bool exact))).Build();
                bool right = real ? type is GgufValueType.Float32 or GgufValueType.Float64 : type is not (GgufValueType.Float32 or GgufValueType.Float64 or GgufValueType.Bool);
                if (right && exact)
                {
                    Assert.Equal(value, read(metadata));
                }
                else if (!right)
                {
                    Assert.Contains($"'{key}'", Assert.Throws<InvalidDataException>(() => read(metadata)).Message, StringComparison.Ordinal);
                }
            }
        }
    }

    private static IEnumerable<(string Key, double Value, bool Real, Func<GgufMetadata, double> Read)> Numbers()
    {
        yield return ("llama.block_count", 3, false, metadata => ModelShape.FromGguf(metadata).LayerCount);
        yield return ("llama.context_length", 100, false, metadata => ModelShape.FromGguf(metadata).ContextLength);
        yield return ("llama.context_length", 131_072, false, metadata => ModelShape.FromGguf(metadata).ContextLength);
        yield return ("llama.embedding_length", 96, false, metadata => ModelShape.FromGguf(metadata).EmbeddingLength);
        yield return ("llama.embedding_length", 4096, false, metadata => ModelShape.FromGguf(metadata).EmbeddingLength);
        yield return ("llama.feed_forward_length", 100, false, metadata => ModelShape.FromGguf(metadata).Layers[0].FeedForward.Length);
        yield return ("llama.attention.head_count", 8, false, metadata => ModelShape.FromGguf(metadata).Layers[0].Attention.Heads);
        yield return ("llama.attention.head_count_kv", 1, false, metadata => ModelShape.FromGguf(metadata).Layers[0].Attention.KvHeads);
        yield return ("llama.attention.layer_norm_rms_epsilon", 0.5, true, metadata => ModelShape.FromGguf(metadata).NormEpsilon);
        yield return ("general.alignment", 64, false, metadata => GgufReader.Alignment(metadata, GgufLimits.Default));
        yield return ("tokenizer.ggml.bos_token_id", 5, false, metadata => Tokenizer.FromGguf(metadata).Bos!.Value);
        yield return ("tokenizer.ggml.eos_token_id", 6, false, metadata => Tokenizer.FromGguf(metadata).Eos!.Value);
    }

    private static byte[] Encode(double value, GgufValueType type, out bool exact)
    {
        byte[] bytes = type switch
        {
            GgufValueType.Float32 => BitConverter.GetBytes((float)value),
            GgufValueType.Float64 => BitConverter.GetBytes(value),
            _ => BitConverter.GetBytes((long)value)[..GgufValueTypes.FixedBytes(type)],
        };
        int bits = (GgufValueTypes.FixedBytes(type) * 8) - (type is GgufValueType.Int8 or GgufValueType.Int16 or GgufValueType.Int32 or GgufValueType.Int64 ? 1 : 0);
        exact = type is GgufValueType.Float32 or GgufValueType.Float64 || value < Math.Pow(2, bits);
        return bytes;
    }

    private static GgufMetadata With(string key, GgufValueType type, int count, int tokens)
    {
        GgufMetadataBuilder builder = Base(tokens);
        int size = GgufValueTypes.FixedBytes(type);
        byte[] element = size == 0 ? [1, 0, 0, 0, 0, 0, 0, 0, (byte)'z'] : [1, .. new byte[size - 1]];
        if (count < 0)
        {
            return builder.Set(key, GgufValue.Scalar(type, size == 0 ? "z"u8 : element)).Build();
        }

        return builder.Set(key, GgufValue.Array(type, count, Enumerable.Repeat(element, count).SelectMany(e => e).ToArray())).Build();
    }

    private static GgufMetadataBuilder Base(int tokens) => Model.RandomModel.Llama(1)
        .Set("tokenizer.ggml.model", "llama")
        .Set("tokenizer.ggml.tokens", Enumerable.Range(0, tokens).Select(i => i == 0 ? "<unk>" : ((char)('a' + i)).ToString()).ToArray())
        .Set("tokenizer.ggml.scores", new float[tokens])
        .Set("tokenizer.ggml.token_type", Enumerable.Range(0, tokens).Select(i => i == 0 ? 2 : 1).ToArray())
        .Set("tokenizer.ggml.bos_token_id", 1)
        .Set("tokenizer.ggml.eos_token_id", 2);

    /// <summary>The message shows what was found, so it must not show whole values: a key's name and a short description only.</summary>
    [Trait("Attack", "C10")]
    [Fact]
    public void Refusal_OfALongValue_DoesNotRepeatIt()
    {
        string secret = string.Concat(Enumerable.Repeat("canary-", 1000));
        byte[] file = GgufBytes.Header(0, 1).Text("general.alignment").U32(8).Text(secret).ToArray();
        string message = Assert.Throws<InvalidDataException>(() => GgufReader.Read(file, file.Length)).Message;
        Assert.InRange(Encoding.UTF8.GetByteCount(message), 10, 300);
    }
}
