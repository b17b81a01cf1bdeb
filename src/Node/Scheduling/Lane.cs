namespace Lamina.Node.Scheduling;

/// <summary>Those who share the pipeline's time: the sequences of one lane, and what the lane may still have in this round.</summary>
internal sealed class Lane(ulong id, int weight)
{
    public const int MaxWeight = 1000;

    public ulong Id => id;

    /// <summary>Its share beside the others'.</summary>
    public int Weight { get; set; } = weight;

    public SequenceQueue Waiting { get; } = new();

    /// <summary>Its running sequences.</summary>
    public int Running { get; set; }

    /// <summary>Rows that it may have before the others' turn. Tokens of running sequences are never held back, so it may go below zero; the lane then waits longer for its next turn.</summary>
    public long Balance { get; set; }

    /// <summary>Whether it has prompt rows to compute in the step being planned.</summary>
    public bool Wants { get; set; }

    /// <summary>The first in its queue that may be admitted in this pass; past the end when none may.</summary>
    public int Candidate { get; set; }

    /// <summary>When one of it was last admitted, counted in admissions.</summary>
    public long LastAdmitted { get; set; }

    /// <summary>Cache blocks that its running sequences hold; a shared one counts for each. Only valid after <see cref="Scheduler"/> has counted.</summary>
    public int HeldBlocks { get; set; }

    public bool IsIdle => Running == 0 && Waiting.Count == 0;
}
