namespace Lamina.Compute.ToolCalls;

/// <summary>A piece of an answer as it streams.</summary>
public abstract record AnswerDelta;

public sealed record ContentDelta(string Text) : AnswerDelta;

/// <summary>What the model says to itself.</summary>
public sealed record ReasoningDelta(string Text) : AnswerDelta;

/// <summary>A call begins; its arguments follow.</summary>
/// <param name="Index">Counts the calls of an answer from 0.</param>
public sealed record ToolCallStart(int Index, string Name) : AnswerDelta;

/// <summary>More of the JSON text of a call's arguments.</summary>
public sealed record ToolCallArguments(int Index, string Text) : AnswerDelta;
