using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Local;

/// <summary>An adapter that every generation of an engine passes through.</summary>
public sealed record LocalAdapter(GgufFile File, float Scale)
{
    /// <summary>Throws <see cref="InvalidDataException"/> or <see cref="NotSupportedException"/> saying why the file does not fit the model.</summary>
    public void Check(GgufFile model, ModelShape shape) =>
        AdapterShape.FromGguf(File.Metadata).Check(File.Tensors, shape, name => model.TryGet(name, out _));

    internal static void AddTo(StageExecutor stage, IReadOnlyList<LocalAdapter> adapters)
    {
        foreach (LocalAdapter adapter in adapters)
        {
            stage.LoadAdapter(adapter.File, AdapterShape.FromGguf(adapter.File.Metadata));
        }
    }
}
