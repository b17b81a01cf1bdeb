using System.Net.ServerSentEvents;

namespace Lamina.Client.Http;

/// <summary>One response that carries server-sent events, read one at a time.</summary>
internal sealed class SseConnection : IAsyncDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly CancellationTokenSource _idle;
    private readonly IAsyncEnumerator<SseItem<byte[]>> _items;

    private SseConnection(HttpResponseMessage response, Stream body, CancellationToken cancellation)
    {
        _response = response;
        _idle = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _items = SseParser.Create(body, static (_, data) => data.ToArray()).EnumerateAsync(_idle.Token).GetAsyncEnumerator(CancellationToken.None);
    }

    /// <param name="limit">Ends the opening.</param>
    /// <param name="cancellation">Ends the reading.</param>
    public static async Task<SseConnection> OpenAsync(HttpResponseMessage response, CancellationToken limit, CancellationToken cancellation)
    {
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            response.Dispose();
            throw new LaminaContractException("the server did not answer with an event stream");
        }

        return new SseConnection(response, await response.Content.ReadAsStreamAsync(limit).ConfigureAwait(false), cancellation);
    }

    /// <summary>The next event, or null when the connection has ended. Throws <see cref="OperationCanceledException"/> after a silence longer than <paramref name="idle"/>.</summary>
    public async ValueTask<SseItem<byte[]>?> NextAsync(TimeSpan idle, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        _idle.CancelAfter(idle);
        bool any = await _items.MoveNextAsync().ConfigureAwait(false);
        _idle.CancelAfter(Timeout.InfiniteTimeSpan);
        return any ? _items.Current : null;
    }

    public async ValueTask DisposeAsync()
    {
        // Closing the response first lets a half-read stream end without being read to its end.
        _response.Dispose();
        await _items.DisposeAsync().ConfigureAwait(false);
        _idle.Dispose();
    }
}
