using Lamina.Coordinator.Api.Requests;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>What a streamed answer keeps account of: which choices were announced, and the usage so far.</summary>
internal sealed class StreamCourse(GenerationOptions options)
{
    private readonly HashSet<int> _opened = [];

    public AnswerUsage Usage { get; private set; }

    /// <summary>Looks at an event before it is sent; true when it is its choice's first. Throws the error that the event is.</summary>
    public bool Take(AnswerEvent happened)
    {
        if (happened.Error is { } error)
        {
            throw error.AsException();
        }

        if (happened.FinishReason is not null)
        {
            Usage = Usage.Plus(happened.Usage.CountedOnce(happened.Choice, options.Choices));
        }

        return _opened.Add(happened.Choice);
    }
}
