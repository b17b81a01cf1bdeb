using Lamina.Compute.Gguf;

namespace Lamina.Compute.Model;

/// <summary>
/// A contiguous range of layers with its weights and cache, on one compute thread: the first layer brings the embedding, the last
/// the final norm and output matrix. Not thread-safe; owns native memory, zeroed on disposal.
/// </summary>
public sealed class Stage : IDisposable
{
    public ModelShape Shape => throw new NotImplementedException();
    public LayerRange Layers => throw new NotImplementedException();
    public KvCache Cache => throw new NotImplementedException();

    /// <summary>True when the stage holds layer 0 and turns tokens into rows itself.</summary>
    public bool IsFirst => throw new NotImplementedException();

    /// <summary>True when the stage holds the last layer and gives logits.</summary>
    public bool IsLast => throw new NotImplementedException();

    /// <summary>Bytes of weights and cache held.</summary>
    public long MemoryBytes => throw new NotImplementedException();

    /// <summary>
    /// Loads and repacks the tensors of <paramref name="layers"/>. Throws <see cref="InvalidDataException"/> when a tensor is missing or has another
    /// shape than the metadata implies, <see cref="NotSupportedException"/> naming what is not supported.
    /// </summary>
    /// <param name="progress">Called with (bytes done, bytes in all).</param>
    public static Stage Load(ITensorSource tensors, ModelShape shape, LayerRange layers, StageOptions options, Action<long, long>? progress = null) => throw new NotImplementedException();

    /// <summary>
    /// Runs the layers over the batch. <paramref name="input"/>: f32 [rows × embedding], ignored by a first stage;
    /// <paramref name="output"/>: f32 [rows × embedding], left untouched by a last stage, whose result is <see cref="Logits"/>.
    /// </summary>
    public void Forward(StepBatch batch, ReadOnlySpan<float> input, Span<float> output) => throw new NotImplementedException();

    /// <summary>Logits [vocabulary] of the i-th entry of <see cref="StepBatch.LogitRows"/>, valid until the next call; writable, for the sampler.</summary>
    public Span<float> Logits(int i) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
