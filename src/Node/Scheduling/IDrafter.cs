namespace Lamina.Node.Scheduling;

/// <summary>Where guesses about a sequence's next tokens come from. What it answers changes only speed: every guess is verified before it counts.</summary>
internal interface IDrafter
{
    /// <summary>Steps in a row with no right guess after which a sequence makes none for a while.</summary>
    int Patience { get; }

    /// <summary>Guesses what follows <paramref name="tokens"/> and returns how many tokens of <paramref name="draft"/> it filled, 0 when there is nothing to go by.</summary>
    /// <param name="slot">Of the sequence, until <see cref="Release"/>; its tokens only grow.</param>
    int Guess(int slot, ReadOnlySpan<int> tokens, Span<int> draft);

    /// <summary>The slot's sequence has gone: zeroes what was kept of it.</summary>
    void Release(int slot);
}
