using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Compute.Gguf;

namespace Lamina.Cluster.Models;

/// <summary>
/// What a model consists of, by digest: the header (a GGUF file of the metadata alone, without tokenizer arrays and tensors, with <c>{architecture}.vocab_size</c>),
/// the vocabulary (a GGUF file of the tokenizer's metadata) and one blob per tensor. The model's digest is that of the manifest's bytes, so whoever holds the digest can verify all the rest, whoever sent it.
/// </summary>
/// <param name="Version">2.</param>
/// <param name="Header">What every stage needs beside its tensors, to derive the model's shape.</param>
/// <param name="Vocabulary">What the last stage needs to hold answers to grammars.</param>
/// <param name="Tensors">In file order; names are unique.</param>
public sealed record ModelManifest(int Version, ManifestBlob Header, ManifestBlob Vocabulary, IReadOnlyList<ManifestTensor> Tensors)
{
    public const int CurrentVersion = 2;
    public const int MaxBytes = 32 << 20;
    public const int MaxHeaderBytes = 8 << 20;
    public const int MaxVocabularyBytes = 64 << 20;
    public const int MaxTensors = 65_536;
    public const int MaxTensorNameLength = 256;

    /// <summary>The bytes whose digest names the model.</summary>
    public byte[] ToBytes()
    {
        Check();
        return JsonSerializer.SerializeToUtf8Bytes(this, ManifestJson.Default.ModelManifest);
    }

    /// <summary>Throws <see cref="InvalidDataException"/> saying what is wrong; sizes, names and types are checked against each other and the limits.</summary>
    public static ModelManifest Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes)
        {
            throw new InvalidDataException($"manifest of {bytes.Length} bytes is over the limit of {MaxBytes}");
        }

        ModelManifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize(bytes, ManifestJson.Default.ModelManifest);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"manifest is not valid: line {e.LineNumber}, byte {e.BytePositionInLine}, at {e.Path}", e);
        }

        (manifest ?? throw new InvalidDataException("manifest is null")).Check();
        return manifest;
    }

    private void Check()
    {
        if (Version != CurrentVersion)
        {
            throw new InvalidDataException($"manifest version {Version}, expected {CurrentVersion}");
        }

        if (Header is null || Header.Bytes is <= 0 or > MaxHeaderBytes)
        {
            throw new InvalidDataException($"manifest header of {Header?.Bytes} bytes, expected 1 to {MaxHeaderBytes}");
        }

        if (Vocabulary is null || Vocabulary.Bytes is <= 0 or > MaxVocabularyBytes)
        {
            throw new InvalidDataException($"manifest vocabulary of {Vocabulary?.Bytes} bytes, expected 1 to {MaxVocabularyBytes}");
        }

        _ = BlobDigest.Parse(Header.Digest);
        _ = BlobDigest.Parse(Vocabulary.Digest);
        if (Tensors is null || Tensors.Count is 0 or > MaxTensors)
        {
            throw new InvalidDataException($"manifest of {Tensors?.Count} tensors, expected 1 to {MaxTensors}");
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (ManifestTensor tensor in Tensors)
        {
            tensor.Check();
            if (!names.Add(tensor.Name))
            {
                throw new InvalidDataException($"manifest names tensor {tensor.Name} twice");
            }
        }
    }
}

/// <param name="Digest">Canonical text of a <see cref="BlobDigest"/>.</param>
public sealed record ManifestBlob(string Digest, long Bytes);

/// <param name="Dimensions">As in the file: dimension 0 is contiguous.</param>
/// <param name="Bytes">Length of the blob, which is what type and dimensions make.</param>
/// <param name="Digest">Canonical text of a <see cref="BlobDigest"/>.</param>
public sealed record ManifestTensor(string Name, GgmlType Type, IReadOnlyList<long> Dimensions, long Bytes, string Digest)
{
    private const int MaxDimensions = 4;
    private const long MaxBytes = 1L << 40;

    internal void Check()
    {
        if (string.IsNullOrEmpty(Name) || Name.Length > ModelManifest.MaxTensorNameLength)
        {
            throw new InvalidDataException($"manifest tensor with a name of {Name?.Length ?? 0} characters, expected 1 to {ModelManifest.MaxTensorNameLength}");
        }

        if (!GgmlTypes.IsKnown(Type))
        {
            throw new InvalidDataException($"tensor {Name} has unknown type {(int)Type}");
        }

        if (Dimensions is null || Dimensions.Count is 0 or > MaxDimensions)
        {
            throw new InvalidDataException($"tensor {Name} has {Dimensions?.Count ?? 0} dimensions, expected 1 to {MaxDimensions}");
        }

        Int128 elements = 1;
        foreach (long dimension in Dimensions)
        {
            elements *= dimension is > 0 and <= MaxBytes ? dimension : throw new InvalidDataException($"tensor {Name} has a dimension of {dimension}, expected 1 to {MaxBytes}");
            if (elements > MaxBytes * 4)
            {
                throw new InvalidDataException($"tensor {Name} has more than {MaxBytes * 4} elements");
            }
        }

        if (Dimensions[0] % GgmlTypes.BlockElements(Type) != 0)
        {
            throw new InvalidDataException($"tensor {Name}: rows of {Dimensions[0]} do not fill whole blocks of {Type}");
        }

        long expected = GgmlTypes.ByteLength(Type, (long)elements);
        if (Bytes != expected || Bytes > MaxBytes)
        {
            throw new InvalidDataException($"tensor {Name} of {Bytes} bytes, expected {expected} (at most {MaxBytes})");
        }

        _ = BlobDigest.Parse(Digest);
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 8)]
[JsonSerializable(typeof(ModelManifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;
