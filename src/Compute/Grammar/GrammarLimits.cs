namespace Lamina.Compute.Grammar;

/// <summary>Bounds of grammars, which anybody may send.</summary>
internal static class GrammarLimits
{
    public const int SourceLength = 1 << 18;

    /// <summary>Nesting of groups in the source and of schemas.</summary>
    public const int Depth = 64;

    /// <summary>Elements of all rules together, after repetitions are written out.</summary>
    public const int Elements = 200_000;

    /// <summary>Parts of a schema, counted as often as they are reached.</summary>
    public const int Schemas = 10_000;

    /// <summary>Steps of merging schemas and of building automata from patterns, lengths and multiples, for one schema.</summary>
    public const long ConstraintWork = 1_200_000;

    public const int Repetition = 5_000;

    public const int Choices = 4_096;

    /// <summary>Rules left open while matching, such as arrays in arrays; deeper text is not allowed.</summary>
    public const int StackDepth = 256;

    /// <summary>Ways in which a text may match so far, side by side.</summary>
    public const int Stacks = 8_192;

    /// <summary>States kept before they are forgotten and found anew.</summary>
    public const int States = 1 << 15;

    /// <summary>Positions that the states of one token mask may look at: some tenths of a second.</summary>
    public const int WorkPerMask = 5_000_000;

    /// <summary>Bytes of token masks kept per grammar.</summary>
    public const int MaskCacheBytes = 16 << 20;
}
