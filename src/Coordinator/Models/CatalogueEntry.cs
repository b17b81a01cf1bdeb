using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Coordinator.Models;

/// <summary>A model that was added to a store by name.</summary>
/// <param name="Digest">The model's, which names all of its bytes.</param>
/// <param name="Source">Where it came from, for whoever reads the list; nothing is read from there again.</param>
/// <param name="Sha256">The hash that the operator named when it was added, and that it had.</param>
public sealed record CatalogueEntry(string Name, string Digest, int Parts, long Bytes, string Source, string? Sha256, DateTime AddedUtc)
{
    private const int MaxBytes = 64 << 10;

    internal static CatalogueEntry? TryRead(string path)
    {
        try
        {
            byte[] bytes = File.ReadAllBytes(path);
            return bytes.Length <= MaxBytes ? JsonSerializer.Deserialize(bytes, CatalogueJson.Default.CatalogueEntry) : null;
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, CatalogueJson.Default.CatalogueEntry);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, MaxDepth = 4)]
[JsonSerializable(typeof(CatalogueEntry))]
internal sealed partial class CatalogueJson : JsonSerializerContext;
