namespace Lamina.Compute.Grammar;

/// <summary>A grammar, schema or pattern that is malformed, unsupported or too large; the message is for the person who sent it.</summary>
public sealed class GrammarException(string message) : Exception(message);
