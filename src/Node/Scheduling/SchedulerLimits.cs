using Lamina.Cluster.Messages;

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

    /// <summary>Stages of the pipeline: that many micro-batches keep all of them busy.</summary>
    public int Stages { get; init; } = 1;

    /// <summary>Generations that may wait; further ones are refused.</summary>
    public int MaxWaiting { get; init; } = 4096;

    /// <summary>Whether full blocks of finished sequences are kept and shared with those that begin alike.</summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Most tokens a decoding sequence guesses ahead.</summary>
    public int DraftTokens { get; init; }

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
