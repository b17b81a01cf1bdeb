namespace Lamina.Compute.Model.Architectures;

/// <summary>Which layers attend through a window.</summary>
internal static class Windows
{
    /// <summary>The rotation's base on windowed layers, where it differs.</summary>
    public static float? RopeBase(HyperParameters p) => p.FindFloat("rope.freq_base_swa") is null ? null : p.Positive("rope.freq_base_swa", 0);

    /// <summary>
    /// The metadata's array, or a period: of every <paramref name="period"/> layers all but the last have a window. A period of 0 gives every layer one, 1 none.
    /// </summary>
    public static bool[] Pattern(HyperParameters p, int period)
    {
        const string Name = "attention.sliding_window_pattern";
        int layers = p.Int("block_count", 1, HyperParameters.MaxLayers);
        if (p.Metadata.Find(p.Key(Name)) is { IsArray: true } value)
        {
            bool[] pattern = value.ElementType == Gguf.GgufValueType.Bool
                ? p.Metadata.FindBools(p.Key(Name))!
                : [.. p.Metadata.FindInt32s(p.Key(Name))!.Select(windowed => windowed != 0)];
            return pattern.Length >= layers ? pattern : throw new InvalidDataException($"'{p.Key(Name)}' holds {pattern.Length} values, expected one for each of {layers} layers");
        }

        int length = p.FindInt(Name, 0, HyperParameters.MaxLayers) ?? period;
        return [.. Enumerable.Range(0, layers).Select(layer => length == 0 || layer % length < length - 1)];
    }
}
