namespace Lamina.Compute.Tokenization;

/// <summary>Turns one generation's tokens into text as they come, never splitting a UTF-8 sequence.</summary>
public sealed class IncrementalDetokenizer
{
    public IncrementalDetokenizer(Tokenizer tokenizer, bool special = false) => throw new NotImplementedException();

    /// <summary>Text that became complete with this token; empty while a sequence is open.</summary>
    public string Append(int id) => throw new NotImplementedException();

    /// <summary>What is left at the end, incomplete bytes as U+FFFD.</summary>
    public string Flush() => throw new NotImplementedException();
}
