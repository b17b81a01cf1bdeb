using Lamina.Compute.Model;

namespace Lamina.Node.Pipeline;

/// <summary>One micro-batch on its way through the pipeline: cache operations, then rows. Refilled, never reallocated.</summary>
internal sealed class Step(int maxRows)
{
    /// <summary>Counts the head's steps from 1; the pipeline keeps their order.</summary>
    public int Number { get; set; }

    public OperationBuffer Operations { get; } = new();

    public StepBatch Batch { get; } = new(maxRows);

    public void Clear()
    {
        Number = 0;
        Operations.Clear();
        Batch.Clear();
    }
}
