using System.Diagnostics;
using System.Globalization;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;

namespace Lamina.Client.Http;

/// <summary>One event of a generation, its JSON whole.</summary>
/// <param name="Number">From 1; 0 when the server does not number its events.</param>
internal readonly record struct GenerationEvent(long Number, byte[] Json);

/// <summary>
/// The events of one generation, over as many connections as it takes: each event once, in order, to the <c>[DONE]</c>. Events are read only as they are asked
/// for, so a slow caller fills the connection's window and not memory.
/// </summary>
internal sealed class GenerationStream(ApiTransport transport, Func<HttpRequestMessage> start, string? generation, long after)
{
    private static readonly TimeSpan s_cancelLimit = TimeSpan.FromSeconds(2);

    private string? _generation = generation;
    private long _last = after;
    private readonly bool _resumed = generation is not null;
    private bool _received;
    private bool _ended;

    /// <summary>Where the events of a generation after a given one are.</summary>
    public static HttpRequestMessage Events(ApiTransport transport, string generation, long after)
    {
        HttpRequestMessage request = transport.Request(HttpMethod.Get, $"v1/generations/{Uri.EscapeDataString(generation)}/events");
        request.Headers.Add("Last-Event-ID", after.ToString(CultureInfo.InvariantCulture));
        return request;
    }

    /// <summary>Ends early when the enumerator is disposed of: the generation is then cancelled at the server.</summary>
    /// <param name="activity">The span that every connection belongs to, also those that are made while other code's span is current.</param>
    public async IAsyncEnumerable<GenerationEvent> ReadAsync(Activity? activity, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var attempts = new ApiTransport.Attempts(transport);
        try
        {
            while (!_ended)
            {
                SseConnection? connection = null;
                LaminaException? failure = null;
                try
                {
                    connection = await ConnectAsync(activity, cancellation).ConfigureAwait(false);
                }
                catch (Exception e) when (transport.Failure(e, cancellation) is { } known)
                {
                    failure = known;
                }

                if (connection is not null)
                {
                    await using (connection.ConfigureAwait(false))
                    {
                        while (failure is null && !_ended)
                        {
                            GenerationEvent? next = null;
                            try
                            {
                                next = await NextAsync(connection, cancellation).ConfigureAwait(false);
                            }
                            catch (Exception e) when (transport.Failure(e, cancellation) is { } known)
                            {
                                failure = known;
                            }

                            if (next is { } happened)
                            {
                                attempts.Progress();
                                yield return happened;
                            }
                        }
                    }
                }

                if (failure is not null)
                {
                    // A failed stream is left alone at the server: whoever holds its id and last event may go on later.
                    _ended = true;
                    RequireResumable(failure);
                    await attempts.FailedAsync(failure, cancellation).ConfigureAwait(false);
                    _ended = false;
                }
            }
        }
        finally
        {
            if (!_ended)
            {
                await CancelAsync(activity).ConfigureAwait(false);
            }
        }
    }

    private async Task<SseConnection> ConnectAsync(Activity? activity, CancellationToken cancellation)
    {
        Activity.Current = activity ?? Activity.Current;
        using CancellationTokenSource limit = transport.Limit(cancellation);
        using HttpRequestMessage request = _generation is not null && (_last > 0 || _resumed) ? Events(transport, _generation, _last) : start();
        request.Headers.Accept.ParseAdd("text/event-stream");
        HttpResponseMessage response = await transport.AnsweredAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token, cancellation).ConfigureAwait(false);
        if (response.Headers.TryGetValues("X-Lamina-Generation", out IEnumerable<string>? ids))
        {
            _generation = ids.First();
        }

        return await SseConnection.OpenAsync(response, limit.Token, cancellation).ConfigureAwait(false);
    }

    /// <summary>The next event that was not seen before; null at the end of the generation.</summary>
    private async Task<GenerationEvent?> NextAsync(SseConnection connection, CancellationToken cancellation)
    {
        while (true)
        {
            SseItem<byte[]> item = await connection.NextAsync(transport.Options.IdleTimeout, cancellation).ConfigureAwait(false)
                ?? throw new LaminaConnectionException("the stream ended before the answer did");
            if (item.Data.AsSpan().SequenceEqual("[DONE]"u8))
            {
                _ended = true;
                return null;
            }

            long number = long.TryParse(item.EventId, NumberStyles.None, CultureInfo.InvariantCulture, out long parsed) ? parsed : 0;
            if (number != 0 && number <= _last)
            {
                continue;
            }

            if (ErrorIn(item.Data) is { } error)
            {
                throw new LaminaServerException(error);
            }

            _received = true;
            _last = number;
            return new GenerationEvent(number, item.Data);
        }
    }

    /// <summary>After the first event only a server that numbers its events and keeps them can go on; anything else would repeat text.</summary>
    private void RequireResumable(LaminaException failure)
    {
        if (_received && failure is LaminaConnectionException && (_generation is null || _last == 0))
        {
            throw failure;
        }

        if (_received && failure is LaminaNotFoundException)
        {
            throw new LaminaConnectionException($"the connection broke after event {_last}, and the server no longer keeps the generation", failure);
        }
    }

    private static ApiErrorDetail? ErrorIn(byte[] json)
    {
        if (!json.AsSpan().StartsWith("{\"error\""u8))
        {
            return null;
        }

        ErrorFields? fields = ApiTransport.Read(json, ClientJson.Default.ErrorBody).Error;
        return new ApiErrorDetail(200, fields?.Message ?? "the server ended the stream with an error", fields?.Type, fields?.Code, fields?.Param, null);
    }

    private async Task CancelAsync(Activity? activity)
    {
        Activity.Current = activity ?? Activity.Current;
        if (_generation is null)
        {
            return;
        }

        try
        {
            using var limit = new CancellationTokenSource(s_cancelLimit);
            using HttpRequestMessage request = transport.Request(HttpMethod.Delete, $"v1/generations/{Uri.EscapeDataString(_generation)}");
            (await transport.AnsweredAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token, CancellationToken.None).ConfigureAwait(false)).Dispose();
        }
        catch (Exception e) when (e is LaminaException or HttpRequestException or IOException or OperationCanceledException)
        {
            // It has ended already, or ends by itself once its grace is over.
        }
    }
}
