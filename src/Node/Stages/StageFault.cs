using Lamina.Cluster.Messages;

namespace Lamina.Node.Stages;

/// <summary>Why a stage does not stand, in the words of the protocol.</summary>
internal sealed class StageFault(StageFailure failure, string reason, Exception? cause = null) : Exception(reason, cause)
{
    public StageFailure Failure { get; } = failure;
}
