using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>Float buffers of layers with experts; which rows go where is the kernels' affair.</summary>
internal sealed class ExpertState(BufferSizes sizes, Func<long, int, Rows> buffer)
{
    /// <summary>Router's scores, then probabilities, [rows × experts].</summary>
    public Rows Scores { get; } = buffer(sizes.Rows, sizes.Experts);

    /// <summary>[uses × 2 inner width].</summary>
    public Rows GateUp { get; } = buffer((long)sizes.Rows * sizes.Used, 2 * sizes.ExpertLength);

    /// <summary>[uses × embedding].</summary>
    public Rows Outputs { get; } = buffer((long)sizes.Rows * sizes.Used, sizes.Embedding);

    /// <summary>[rows × 1].</summary>
    public Rows SharedGates { get; } = buffer(sizes.Rows, 1);
}
