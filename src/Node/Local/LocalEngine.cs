using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Node.Local;

/// <summary>
/// A whole pipeline inside this process, without cluster or network: what <c>lamina run</c> and <c>bench</c> use, and what tests compare with. Its stages,
/// scheduler and sampler are the same code that nodes run; only the links are queues in memory.
/// </summary>
public sealed class LocalEngine : IDisposable
{
    /// <param name="stages">Layer ranges of the stages, contiguous and complete; null = one stage.</param>
    public static LocalEngine Load(GgufFile model, StageSettings settings, IReadOnlyList<LayerRange>? stages = null, Action<long, long>? progress = null) => throw new NotImplementedException();

    /// <summary>Thread-safe: generations submitted at the same time share steps. The callback runs on an engine thread and must not block.</summary>
    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
