using Lamina.Cluster.Messages;
using Lamina.Compute.Model;

namespace Lamina.Node.Scheduling;

/// <summary>What the scheduler plans within.</summary>
internal sealed record SchedulerLimits
{
    /// <summary>Positions a sequence may reach.</summary>
    public required int ContextLength { get; init; }

    public required int KvBlocks { get; init; }

    /// <summary>Sequences that run at the same time, and slots.</summary>
    public required int MaxSequences { get; init; }

    public required int MaxBatchRows { get; init; }
    public required int VocabularySize { get; init; }

    /// <summary>Values of an embedding.</summary>
    public int EmbeddingLength { get; init; }

    /// <summary>Adapters that every stage holds.</summary>
    public int Adapters { get; init; }

    /// <summary>Whether the model continues texts.</summary>
    public bool Generates { get; init; } = true;

    /// <summary>Whether the file says how a text's rows become an embedding.</summary>
    public bool Pools { get; init; }

    /// <summary>Whether every row sees its whole text, which must then stand in one step.</summary>
    public bool WholeTexts { get; init; }

    /// <summary>Stages of the pipeline: that many micro-batches keep all of them busy.</summary>
    public int Stages { get; init; } = 1;

    /// <summary>Generations that may wait; further ones are refused.</summary>
    public int MaxWaiting { get; init; } = 4096;

    /// <summary>Generations of one lane that may wait, so that no lane fills the queue for all.</summary>
    public int MaxWaitingPerLane { get; init; } = 1024;

    /// <summary>Whether full blocks of finished sequences are kept and shared with those that begin alike.</summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Most tokens a decoding sequence guesses ahead.</summary>
    public int DraftTokens { get; init; }

    public static SchedulerLimits From(StageSettings settings, int stages, ModelShape shape) => From(settings, stages, shape.VocabularySize) with
    {
        EmbeddingLength = shape.EmbeddingLength,
        Generates = shape.HasLogits,
        Pools = shape.Pooling != PoolingKind.None,
        WholeTexts = !shape.IsCausal,

        // What a block of an encoder holds depends on the tokens behind it too.
        PrefixCache = shape.IsCausal,
    };

    public static SchedulerLimits From(StageSettings settings, int stages, int vocabularySize) => new()
    {
        ContextLength = settings.ContextLength,
        KvBlocks = settings.KvBlocks,
        MaxSequences = settings.MaxSequences,
        MaxBatchRows = settings.MaxBatchRows,
        VocabularySize = vocabularySize,
        Stages = stages,
        DraftTokens = settings.DraftTokens,
    };
}
