using Lamina.Compute.Gguf;

namespace Lamina.Compute.Model.Adapters;

/// <summary>
/// What an adapter file says of itself: low-rank changes W + scale · alpha/rank · B A of a base model's matrices, each as the pair of tensors
/// <c>NAME.lora_a</c> [columns × rank] and <c>NAME.lora_b</c> [rank × rows].
/// </summary>
/// <param name="Architecture">Of the base model it was trained for.</param>
/// <param name="Alpha">0 when the pairs are scaled already.</param>
public sealed record AdapterShape(string Architecture, float Alpha)
{
    public const string DownSuffix = ".lora_a";
    public const string UpSuffix = ".lora_b";
    public const int MaxRank = 4096;

    /// <summary>True for files that change a model instead of being one.</summary>
    public static bool IsAdapter(GgufMetadata metadata) => metadata.FindString("general.type") == "adapter";

    /// <summary>Throws <see cref="InvalidDataException"/> for a file that is no adapter, <see cref="NotSupportedException"/> for one of another kind.</summary>
    public static AdapterShape FromGguf(GgufMetadata metadata)
    {
        string type = metadata.FindString("general.type") ?? "absent";
        if (type != "adapter")
        {
            throw new InvalidDataException($"'general.type' is {type}, expected adapter");
        }

        string kind = metadata.GetString("adapter.type");
        if (kind != "lora")
        {
            throw new NotSupportedException($"adapters of type '{kind}' ('adapter.type') are not supported; lora is");
        }

        if (metadata.Contains("adapter.alora.invocation_tokens"))
        {
            throw new NotSupportedException("adapters that certain tokens activate ('adapter.alora.invocation_tokens') are not supported");
        }

        float alpha = metadata.FindFloat("adapter.lora.alpha") ?? 0;
        return float.IsFinite(alpha)
            ? new AdapterShape(metadata.GetString("general.architecture"), alpha)
            : throw new InvalidDataException($"'adapter.lora.alpha' is {alpha}, expected a finite number");
    }

    /// <summary>Checks every tensor of an adapter file against the model it shall change: nothing in it may be without effect.</summary>
    /// <param name="exists">Which tensors the model's file holds.</param>
    public void Check(IReadOnlyList<TensorView> tensors, ModelShape model, Func<string, bool> exists)
    {
        CheckArchitecture(model);
        var targets = Targets(model, new LayerRange(0, model.LayerCount), exists).ToDictionary(target => target.Name, StringComparer.Ordinal);
        var byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        foreach (TensorView tensor in tensors)
        {
            bool up = tensor.Name.EndsWith(UpSuffix, StringComparison.Ordinal);
            if (!up && !tensor.Name.EndsWith(DownSuffix, StringComparison.Ordinal))
            {
                throw new NotSupportedException($"tensor '{tensor.Name}' of the adapter is neither a {DownSuffix} nor a {UpSuffix}");
            }

            string name = tensor.Name[..^UpSuffix.Length], other = name + (up ? DownSuffix : UpSuffix);
            if (!byName.TryGetValue(other, out TensorView partner))
            {
                throw new InvalidDataException($"the adapter holds '{tensor.Name}' without '{other}'");
            }

            if (!targets.TryGetValue(name, out AdapterTarget? target))
            {
                throw new InvalidDataException($"the adapter changes '{name}', which is no matrix of this model");
            }

            AdapterPair.Of(target, up ? partner : tensor, up ? tensor : partner);
        }

        if (tensors.Count == 0)
        {
            throw new InvalidDataException("the adapter holds no tensors");
        }
    }

    /// <summary>Names of the adapter's tensors that a stage holding <paramref name="layers"/> reads, of those that the adapter has.</summary>
    /// <param name="exists">Which tensors the model's file holds.</param>
    /// <param name="has">Which tensors the adapter's file holds.</param>
    public static IReadOnlyList<string> TensorNames(ModelShape model, LayerRange layers, Func<string, bool> exists, Func<string, bool> has) =>
        [.. Targets(model, layers, exists).SelectMany(target => new[] { target.Name + DownSuffix, target.Name + UpSuffix }).Where(has)];

    /// <summary>Bytes that a stage takes for the adapter.</summary>
    public static long RequiredBytes(ITensorSource adapter, ModelShape model, LayerRange layers, Func<string, bool> exists) =>
        Targets(model, layers, exists).Sum(target => AdapterPair.Find(target, adapter)?.Bytes ?? 0);

    internal void CheckArchitecture(ModelShape model)
    {
        if (Architecture != model.Architecture)
        {
            throw new InvalidDataException($"the adapter is made for architecture '{Architecture}', the model has '{model.Architecture}'");
        }
    }

    /// <summary>Every matrix of a stage that an adapter can change.</summary>
    internal static IEnumerable<AdapterTarget> Targets(ModelShape model, LayerRange layers, Func<string, bool> exists)
    {
        foreach (TensorSpec spec in model.Tensors(layers, exists))
        {
            bool looked = spec.Name == AdapterTarget.Embedding;
            if (IsMatrix(spec.Name) && (spec.Required || exists(spec.Name)) && (!looked || layers.First == 0))
            {
                yield return new AdapterTarget(spec.Name, spec.Dimensions[0], spec.Dimensions.ElementAtOrDefault(1) is var rows and > 0 ? rows : 1, spec.Dimensions.Length > 2 ? spec.Dimensions[2] : 1);
            }
        }
    }

    private static bool IsMatrix(string name) =>
        name.EndsWith(".weight", StringComparison.Ordinal) && !name.Contains("norm", StringComparison.Ordinal) && !name.Contains("sinks", StringComparison.Ordinal)
        && !name.StartsWith("rope_", StringComparison.Ordinal) && name is not ("position_embd.weight" or "token_types.weight");
}
