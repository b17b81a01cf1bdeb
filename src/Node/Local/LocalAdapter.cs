using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Node.Local;

/// <summary>An adapter that every generation of an engine passes through.</summary>
public sealed record LocalAdapter(GgufFile File, float Scale)
{
    /// <summary>Throws <see cref="InvalidDataException"/> or <see cref="NotSupportedException"/> saying why the file does not fit the model.</summary>
    public void Check(GgufFile model, ModelShape shape) =>
        AdapterShape.FromGguf(File.Metadata).Check(File.Tensors, shape, name => model.TryGet(name, out _));

    internal static void AddTo(Stage stage, IReadOnlyList<LocalAdapter> adapters, int slots)
    {
        AdapterUse[] uses = [.. adapters.Select(adapter => new AdapterUse(stage.Adapters.Load(adapter.File, AdapterShape.FromGguf(adapter.File.Metadata)), adapter.Scale))];
        for (int slot = 0; slot < slots; slot++)
        {
            stage.Adapters.Assign(slot, uses);
        }
    }
}
