using System.Globalization;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Quantization;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Model;

/// <param name="Layer">Index of the layer it belongs to, or null.</param>
public sealed record InspectedTensor(string Name, GgmlType Type, IReadOnlyList<long> Dimensions, long Bytes, int? Layer);

public sealed record InspectedType(GgmlType Type, int Tensors, long Parameters, long Bytes);

/// <summary>What a GGUF file holds, as data: for a table, for JSON, and to learn before loading what will not run and why.</summary>
public sealed record ModelInspection
{
    public required string Architecture { get; init; }
    public string? Name { get; init; }

    /// <summary>The quantisation that <c>general.file_type</c> claims.</summary>
    public string? FileType { get; init; }
    public required int GgufVersion { get; init; }
    public required long FileBytes { get; init; }
    public required long Parameters { get; init; }

    /// <summary>Null where the architecture is unknown or its metadata incomplete.</summary>
    public int? Layers { get; init; }
    public int? Embedding { get; init; }
    public int? Context { get; init; }
    public int? Vocabulary { get; init; }

    /// <summary>Key/value cache per position over all layers, in F16.</summary>
    public double? KvBytesPerPosition { get; init; }

    /// <summary><c>tokenizer.ggml.model</c>, with its pre-tokenizer after a slash.</summary>
    public string? Tokenizer { get; init; }
    public bool HasChatTemplate { get; init; }
    public required IReadOnlyList<InspectedTensor> Tensors { get; init; }

    /// <summary>By bytes, largest first.</summary>
    public required IReadOnlyList<InspectedType> Types { get; init; }

    /// <summary>Bytes of each layer's tensors as stored.</summary>
    public required IReadOnlyList<long> LayerBytes { get; init; }

    /// <summary>Bytes of tensors outside the layers: embedding, output and norms.</summary>
    public required long SharedBytes { get; init; }

    /// <summary>One sentence for each thing that does not run; empty when the model does.</summary>
    public required IReadOnlyList<string> Unsupported { get; init; }

    /// <summary>Reads headers only, no tensor data. Works for vocabulary-only files, too.</summary>
    public static ModelInspection Of(GgufFile file)
    {
        GgufMetadata metadata = file.Metadata;
        InspectedTensor[] tensors = [.. file.Tensors.Select(tensor => new InspectedTensor(tensor.Name, tensor.Type, tensor.Dimensions, tensor.ByteLength, LayerOf(tensor.Name)))];
        var unsupported = new List<string>();
        ModelShape? shape = Attempt(() => ModelShape.FromGguf(metadata), unsupported);
        if (tensors.Length > 0)
        {
            unsupported.AddRange(TensorProblems(file, shape));
        }

        if (metadata.Contains("tokenizer.ggml.model"))
        {
            Attempt(() => Tokenization.Tokenizer.FromGguf(metadata), unsupported);
        }

        return new ModelInspection
        {
            Architecture = metadata.FindString("general.architecture") ?? "unknown",
            Name = metadata.FindString("general.name"),
            FileType = metadata.FindInt32("general.file_type") is { } type ? TypeName(type) : null,
            GgufVersion = file.Version,
            FileBytes = file.FileLength,
            Parameters = file.Tensors.Sum(tensor => tensor.Columns * tensor.Rows),
            Layers = shape?.LayerCount,
            Embedding = shape?.EmbeddingLength,
            Context = shape?.ContextLength,
            Vocabulary = shape?.VocabularySize ?? metadata.FindCount("tokenizer.ggml.tokens"),
            KvBytesPerPosition = shape is null ? null : Enumerable.Range(0, shape.LayerCount).Sum(layer => (double)shape.KvBlockBytes(layer, GgmlType.F16)) / KvCache.BlockPositions,
            Tokenizer = TokenizerName(metadata),
            HasChatTemplate = metadata.Contains("tokenizer.chat_template"),
            Tensors = tensors,
            Types = [.. tensors.GroupBy(tensor => tensor.Type).Select(Histogram).OrderByDescending(type => type.Bytes)],
            LayerBytes = LayerTotals(tensors, shape?.LayerCount ?? 0),
            SharedBytes = tensors.Where(tensor => tensor.Layer is null).Sum(tensor => tensor.Bytes),
            Unsupported = unsupported,
        };
    }

    private static T? Attempt<T>(Func<T> read, List<string> problems)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is NotSupportedException or InvalidDataException)
        {
            problems.Add(e.Message);
            return null;
        }
    }

    private static IEnumerable<string> TensorProblems(GgufFile file, ModelShape? shape)
    {
        foreach (var type in file.Tensors.GroupBy(tensor => tensor.Type).Where(type => !WeightMatrix.IsSupported(type.Key)))
        {
            yield return $"{type.Count()} tensors have type {type.Key}, among them '{type.First().Name}'";
        }

        if (shape is null)
        {
            yield break;
        }

        foreach (TensorSpec spec in shape.Tensors(new LayerRange(0, shape.LayerCount), name => file.TryGet(name, out _)))
        {
            string? problem = null;
            if (!file.TryGet(spec.Name, out TensorView tensor))
            {
                problem = spec.Required ? $"tensor '{spec.Name}' [{string.Join(" x ", spec.Dimensions)}] is missing" : null;
            }
            else
            {
                try
                {
                    spec.Check(tensor);
                }
                catch (InvalidDataException e)
                {
                    problem = e.Message;
                }
            }

            if (problem is not null)
            {
                yield return problem;
            }
        }

        foreach (string name in shape.UnknownTensors(file.Tensors.Select(tensor => tensor.Name)))
        {
            yield return $"tensor '{name}' has no place in architecture '{shape.Architecture}'";
        }
    }

    private static InspectedType Histogram(IGrouping<GgmlType, InspectedTensor> tensors) => new(
        tensors.Key, tensors.Count(), tensors.Sum(tensor => tensor.Dimensions.Aggregate(1L, (product, extent) => product * extent)), tensors.Sum(tensor => tensor.Bytes));

    private static long[] LayerTotals(InspectedTensor[] tensors, int layers)
    {
        var totals = new long[layers];
        foreach (InspectedTensor tensor in tensors)
        {
            if (tensor.Layer is { } layer && layer < layers)
            {
                totals[layer] += tensor.Bytes;
            }
        }

        return totals;
    }

    private static int? LayerOf(string name)
    {
        string[] parts = name.Split('.');
        return parts.Length > 2 && parts[0] == "blk" && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : null;
    }

    private static string TypeName(int number) => Enum.IsDefined((QuantizationMix)number) ? ((QuantizationMix)number).ToString() : number.ToString(CultureInfo.InvariantCulture);

    private static string? TokenizerName(GgufMetadata metadata) =>
        metadata.FindString("tokenizer.ggml.pre") is { } pre ? $"{metadata.FindString("tokenizer.ggml.model")}/{pre}" : metadata.FindString("tokenizer.ggml.model");
}
