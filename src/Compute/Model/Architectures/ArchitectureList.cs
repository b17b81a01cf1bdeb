namespace Lamina.Compute.Model.Architectures;

/// <summary>The architectures that run, by GGUF's <c>general.architecture</c>. Each is one file that states what differs from the common shape.</summary>
internal static class ArchitectureList
{
    private static readonly Dictionary<string, Func<HyperParameters, ModelShape>> Readers = new(StringComparer.Ordinal)
    {
        ["llama"] = Llama.Read,
    };

    public static IReadOnlyCollection<string> Names => Readers.Keys;

    public static ModelShape Read(string architecture, HyperParameters parameters) =>
        Readers.TryGetValue(architecture, out Func<HyperParameters, ModelShape>? read)
            ? read(parameters)
            : throw new NotSupportedException($"architecture '{architecture}' is not supported; {string.Join(", ", Readers.Keys.Order(StringComparer.Ordinal))} are");
}
