using System.Diagnostics;
using Akka.Actor;

namespace Lamina.Client.Actors;

/// <summary>Names a generation within an actor system; the subscriber chooses it, unique among those that run.</summary>
public readonly record struct RequestId(string Value)
{
    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>A message about one generation.</summary>
public interface IWithRequestId
{
    /// <summary>The generation meant.</summary>
    RequestId Request { get; }
}

/// <summary>What an <see cref="InferenceClient"/> or <see cref="InferenceRouter"/> takes.</summary>
public static class InferenceCommands
{
    /// <summary>Starts a generation. Its events go to <paramref name="Subscriber"/>, or to the sender when that is null.</summary>
    /// <param name="Demand">How many <see cref="InferenceEvents.TokensGenerated"/> may come before the first <see cref="Demand"/>; <see cref="int.MaxValue"/> = no limit.</param>
    public sealed record Generate(RequestId Request, ChatRequest Chat, int Demand, IActorRef? Subscriber = null) : IWithRequestId
    {
        /// <summary>The trace that the generation's span belongs to: unless it is set, that of whoever made the command, since actors carry none from message to message.</summary>
        public ActivityContext Trace { get; init; } = Activity.Current?.Context ?? default;
    }

    /// <summary>
    /// Goes on with a generation after one of its events, for a subscriber that remembers <see cref="InferenceEvents.GenerationStarted"/> and the last event it took, as long
    /// as its coordinator keeps it.
    /// </summary>
    /// <param name="Endpoint">The coordinator that runs it; null where there is only one.</param>
    public sealed record Resume(RequestId Request, string Generation, long After, int Demand, Uri? Endpoint = null, IActorRef? Subscriber = null) : IWithRequestId
    {
        /// <summary>The trace that the generation's span belongs to, as in <see cref="Generate.Trace"/>.</summary>
        public ActivityContext Trace { get; init; } = Activity.Current?.Context ?? default;
    }

    /// <summary>
    /// Allows <paramref name="Count"/> more events of text. While none are allowed the connection is not read, so its window fills and the server waits: nothing piles up here.
    /// </summary>
    public sealed record Demand(RequestId Request, int Count) : IWithRequestId;

    /// <summary>Ends a generation, here and at the server; answered by <see cref="InferenceEvents.GenerationCompleted"/> with the reason <c>cancelled</c>.</summary>
    public sealed record Cancel(RequestId Request) : IWithRequestId;
}

/// <summary>What a subscriber receives: one start, then text and calls, then one end, which is a completion or a failure.</summary>
public static class InferenceEvents
{
    /// <summary>The server has begun.</summary>
    /// <param name="Generation">The server's id, which <see cref="InferenceCommands.Resume"/> takes.</param>
    /// <param name="Endpoint">The coordinator that runs it.</param>
    public sealed record GenerationStarted(RequestId Request, string Generation, string Model, Uri Endpoint) : IWithRequestId;

    /// <summary>Text that goes on where the last left off. Takes one of the demand.</summary>
    /// <param name="Event">The server's number of the event.</param>
    public sealed record TokensGenerated(RequestId Request, string Text, long Event) : IWithRequestId;

    /// <summary>The model asks for a function; complete, its arguments are JSON as text. The subscriber answers by a new generation with the result in its messages.</summary>
    public sealed record ToolCallRequested(RequestId Request, ToolCall Call) : IWithRequestId;

    /// <summary>The end of an answer.</summary>
    /// <param name="FinishReason"><c>stop</c>, <c>length</c>, <c>tool_calls</c> or <c>cancelled</c>.</param>
    /// <param name="Usage">Null when cancelled.</param>
    public sealed record GenerationCompleted(RequestId Request, string FinishReason, TokenUsage? Usage) : IWithRequestId;

    /// <summary>The end of a generation that could not go on.</summary>
    /// <param name="Generation">Null when it never began.</param>
    /// <param name="LastEvent">The last event that arrived, from which it may be resumed.</param>
    public sealed record GenerationFailed(RequestId Request, LaminaException Reason, string? Generation, long LastEvent) : IWithRequestId;
}
