namespace Lamina.Compute.Tokenization.Merging;

/// <summary>A run of bytes that is one symbol so far.</summary>
/// <param name="Id">Number of the symbol in the vocabulary's table, or -1.</param>
internal readonly record struct Symbol(int Start, int End, int Id);

/// <summary>What two neighbouring symbols become.</summary>
internal interface IMergeRules
{
    /// <param name="priority">The lowest goes first.</param>
    /// <param name="merged">Number of the symbol that they form.</param>
    bool TryMerge(ReadOnlySpan<byte> text, Symbol left, Symbol right, out uint priority, out int merged);
}
