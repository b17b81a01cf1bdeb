using Lamina.Compute.Gguf;

namespace Lamina.Compute.Model;

/// <summary>The metadata keys of one architecture, each within bounds that keep every later product of dimensions small and honest.</summary>
internal sealed class HyperParameters(GgufMetadata metadata, string architecture)
{
    public const int MaxLayers = 1024;
    public const int MaxWidth = 1 << 20;
    public const int MaxHeads = 4096;
    public const int MaxHeadLength = 4096;
    public const int MaxExperts = 4096;

    public GgufMetadata Metadata => metadata;

    public string Architecture => architecture;

    public string Key(string name) => $"{architecture}.{name}";

    public int Int(string name, int min, int max) => metadata.GetInt32(Key(name), min, max);

    public int? FindInt(string name, int min, int max) => metadata.FindInt32(Key(name), min, max);

    public float Float(string name) => FindFloat(name) ?? throw new InvalidDataException($"the file has no key '{Key(name)}'");

    public float? FindFloat(string name)
    {
        float? value = metadata.FindFloat(Key(name));
        return value is null || float.IsFinite(value.Value) ? value : throw new InvalidDataException($"'{Key(name)}' is {value}, expected a finite number");
    }

    /// <summary>A number that divides or scales: finite and above zero.</summary>
    public float Positive(string name, float absent)
    {
        float value = FindFloat(name) ?? absent;
        return value > 0 ? value : throw new InvalidDataException($"'{Key(name)}' is {value}, expected a number above 0");
    }

    public bool Bool(string name, bool absent) => metadata.FindBool(Key(name)) ?? absent;

    public string? FindString(string name) => metadata.FindString(Key(name));

    /// <summary>One integer for all layers or an array with one for each.</summary>
    public int[]? FindPerLayer(string name, int layers, int min, int max)
    {
        string key = Key(name);
        if (metadata.Find(key) is not { } value)
        {
            return null;
        }

        if (!value.IsArray)
        {
            int same = metadata.GetInt32(key, min, max);
            return [.. Enumerable.Repeat(same, layers)];
        }

        int[] values = metadata.FindInt32s(key)!;
        if (values.Length < layers)
        {
            throw new InvalidDataException($"'{key}' holds {values.Length} values, expected one for each of {layers} layers");
        }

        foreach (int found in values)
        {
            if (found < min || found > max)
            {
                throw new InvalidDataException($"'{key}' holds {found}, expected {min} to {max}");
            }
        }

        return values;
    }

    public int[] PerLayer(string name, int layers, int min, int max) =>
        FindPerLayer(name, layers, min, max) ?? throw new InvalidDataException($"the file has no key '{Key(name)}'");

    /// <summary>Refuses a key that changes the mathematics in a way that is not supported.</summary>
    public void Refuse(string name, string what)
    {
        if (metadata.Contains(Key(name)))
        {
            throw new NotSupportedException($"{what} ('{Key(name)}') is not supported");
        }
    }
}
