using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models.Trust;

namespace Lamina.Coordinator.Models;

/// <summary>An imported model: its manifest, the digest that names it everywhere, and the metadata of its file.</summary>
public sealed record StoredModel(BlobDigest Digest, ModelManifest Manifest, GgufMetadata Metadata)
{
    public ModelTrust Trust { get; init; }

    /// <summary>What gave it that level, for coordinators of the cell that judge it anew.</summary>
    public ModelEvidence Evidence { get; init; } = ModelEvidence.None;

    public long TotalBytes => Manifest.Tensors.Sum(tensor => tensor.Bytes);

    /// <summary>Stored bytes of each tensor by name.</summary>
    public IReadOnlyDictionary<string, long> TensorBytes() => Manifest.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Bytes, StringComparer.Ordinal);
}
