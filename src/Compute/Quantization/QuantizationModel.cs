using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>What the choice of tensor types needs to know of a model.</summary>
/// <param name="GroupedQueries">Query heads per key/value head.</param>
/// <param name="Tied">The model has no output matrix of its own.</param>
/// <param name="HasImportance">An importance matrix is at hand.</param>
public sealed record QuantizationModel(string Architecture, int Layers, int GroupedQueries, int Experts, bool Tied, bool HasImportance)
{
    /// <summary>Reads what the file's metadata and tensors say.</summary>
    public static QuantizationModel Of(GgufFile file, bool hasImportance)
    {
        GgufMetadata metadata = file.Metadata;
        string architecture = metadata.GetString("general.architecture");
        int heads = PerLayer(metadata, $"{architecture}.attention.head_count") ?? 1;
        int kvHeads = PerLayer(metadata, $"{architecture}.attention.head_count_kv") ?? heads;
        return new QuantizationModel(
            architecture,
            metadata.GetInt32($"{architecture}.block_count"),
            heads / Math.Max(1, kvHeads),
            metadata.FindInt32($"{architecture}.expert_count") ?? 0,
            !file.TryGet("output.weight", out _),
            hasImportance);
    }

    internal bool IsFalcon => Architecture == "falcon";

    /// <summary>Early, late and every third layer between them are worth more bits.</summary>
    internal bool WorthMoreBits(int layer) => layer < Layers / 8 || layer >= 7 * Layers / 8 || (layer - (Layers / 8)) % 3 == 2;

    /// <summary>One number for all layers, or the first layer's.</summary>
    private static int? PerLayer(GgufMetadata metadata, string key) =>
        metadata.Find(key) is { IsArray: true } ? metadata.FindInt32s(key)!.FirstOrDefault() : metadata.FindInt32(key);
}
