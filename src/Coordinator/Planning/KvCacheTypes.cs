using Lamina.Compute.Gguf;

namespace Lamina.Coordinator.Planning;

/// <summary>The forms in which keys and values can be kept, by llama.cpp's names.</summary>
public static class KvCacheTypes
{
    public const string Allowed = "f16, q8_0 or q4_0";

    public static bool IsKnown(string name) => name is "f16" or "q8_0" or "q4_0";

    /// <summary>Throws <see cref="ArgumentException"/> with one sentence for another name.</summary>
    public static GgmlType Parse(string name) => name switch
    {
        "f16" => GgmlType.F16,
        "q8_0" => GgmlType.Q8_0,
        "q4_0" => GgmlType.Q4_0,
        _ => throw new ArgumentException($"the cache type is '{name}', allowed is {Allowed}"),
    };
}
