using Lamina.Coordinator.Api.Requests;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>
/// The course of a streamed answer: an error before the first event is an HTTP error, one after it is an event that ends the stream without <c>[DONE]</c>.
/// </summary>
internal sealed class AnswerStream(HttpContext context, GenerationOptions options)
{
    private readonly SseWriter _sse = new(context);
    private readonly HashSet<int> _opened = [];
    private AnswerUsage _usage;

    /// <summary>Looks at an event before it is sent; false when it ended the stream.</summary>
    /// <param name="openChoice">Makes the chunk that announces a choice, or null when none is sent.</param>
    public async Task<bool> BeginAsync(AnswerEvent happened, Func<int, byte[]>? openChoice)
    {
        if (happened.Error is { } error)
        {
            if (!_sse.Started)
            {
                throw error.AsException();
            }

            await _sse.SendAsync(error.ToBody());
            return false;
        }

        if (happened.FinishReason is not null)
        {
            _usage = _usage.Plus(happened.Usage.CountedOnce(happened.Choice, options.Choices));
        }

        if (openChoice is not null && _opened.Add(happened.Choice))
        {
            await _sse.SendAsync(openChoice(happened.Choice));
        }

        return true;
    }

    public Task SendAsync(byte[] json) => _sse.SendAsync(json);

    public async Task EndAsync(Func<AnswerUsage, byte[]> usageChunk)
    {
        if (options.IncludeUsage)
        {
            await _sse.SendAsync(usageChunk(_usage));
        }

        await _sse.DoneAsync();
    }
}
