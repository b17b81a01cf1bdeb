using Lamina.Compute.Gguf;

namespace Lamina.Compute.Model;

/// <summary>What a model's metadata says about its architecture; every stage derives its expected tensors from it.</summary>
public sealed partial record ModelShape
{
    /// <summary>GGUF's <c>general.architecture</c>.</summary>
    public required string Architecture { get; init; }

    public required int LayerCount { get; init; }

    /// <summary>Width of the residual stream, and of the f32 rows that travel between stages.</summary>
    public required int EmbeddingLength { get; init; }

    public required int VocabularySize { get; init; }

    /// <summary>Positions the model was trained for.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Reads and checks the shape. Throws <see cref="InvalidDataException"/> naming key, found and expected value.</summary>
    public static ModelShape FromGguf(GgufMetadata metadata) => throw new NotImplementedException();

    /// <summary>Names of the tensors that a stage holding <paramref name="layers"/> needs.</summary>
    public IReadOnlyList<string> TensorNames(LayerRange layers, Func<string, bool> exists) => throw new NotImplementedException();

    /// <summary>Bytes of key/value cache per block and layer.</summary>
    public long KvBlockBytes(int layer, GgmlType kvType) => throw new NotImplementedException();
}
