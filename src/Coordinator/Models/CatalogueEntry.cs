using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Models;

/// <summary>A model that was added to a store by name.</summary>
/// <param name="Digest">The model's, which names all of its bytes.</param>
/// <param name="Source">Where it came from, for whoever reads the list; nothing is read from there again.</param>
/// <param name="Sha256">The hash that the operator named when it was added, and that it had.</param>
public sealed record CatalogueEntry(string Name, string Digest, int Parts, long Bytes, string Source, string? Sha256, DateTime AddedUtc)
{
    private const int MaxBytes = 64 << 10;

    /// <summary>Null when there is none, or none that can be read. Throws <see cref="UnexpectedFileException"/> when the file is a link.</summary>
    internal static CatalogueEntry? TryRead(StoreFolder folder, string name)
    {
        try
        {
            return JsonSerializer.Deserialize(folder.ReadAll(name, MaxBytes), CatalogueJson.Default.CatalogueEntry);
        }
        catch (Exception e) when (e is (IOException and not UnexpectedFileException) or JsonException or InvalidDataException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, CatalogueJson.Default.CatalogueEntry);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, MaxDepth = 4)]
[JsonSerializable(typeof(CatalogueEntry))]
internal sealed partial class CatalogueJson : JsonSerializerContext;
