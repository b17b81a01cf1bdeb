using Lamina.Cluster.Messages;

namespace Lamina.Node.Scheduling;

/// <summary>What became of a sequence: it got a token or its embedding, or (<see cref="Outcome"/> is set) it ended.</summary>
/// <param name="Index">Of the token among the emitted ones; at the end, their number.</param>
/// <param name="SampledIndex">Of the token in the results just completed; -1 at the end.</param>
internal readonly record struct SchedulerEvent(Sequence Sequence, int Index, int SampledIndex, GenerationOutcome? Outcome, string Reason)
{
    public static SchedulerEvent Token(Sequence sequence, int sampledIndex) => new(sequence, sequence.Emitted - 1, sampledIndex, null, "");

    public static SchedulerEvent Embedding(Sequence sequence, int sampledIndex) => new(sequence, 0, sampledIndex, null, "");

    public static SchedulerEvent End(Sequence sequence, GenerationOutcome outcome, string reason) => new(sequence, sequence.Emitted, -1, outcome, reason);
}
