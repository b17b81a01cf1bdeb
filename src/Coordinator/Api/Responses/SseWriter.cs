using System.Globalization;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>
/// Server-sent events: an <c>id:</c> line with the event's number, a <c>data:</c> line of JSON and an empty line each, then <c>[DONE]</c>; JSON holds no raw line ends, so
/// neither does an event. An error before the first event is an HTTP error, one after it is an event without a number that ends the stream without <c>[DONE]</c>.
/// Typed events, which begin with their <c>type</c>, have it in an <c>event:</c> line too, and there is no <c>[DONE]</c>.
/// </summary>
internal static class SseWriter
{
    private static readonly byte[] s_done = "data: [DONE]\n\n"u8.ToArray();

    /// <param name="receipt">Where each event is counted before it is sent; known once there is one.</param>
    /// <param name="begins">Called before the response begins.</param>
    /// <param name="shape">How lengths and times are hidden; null = not.</param>
    public static async Task WriteAsync(
        HttpContext context, IAsyncEnumerable<NumberedEvent> events, bool typed = false, Func<Receipt?>? receipt = null, Action? begins = null, StreamOptions? shape = null)
    {
        TimeSpan stall = shape is null ? StalledReader.DefaultLimit : TimeSpan.FromSeconds(shape.StallSeconds);
        PacedBody? paced = shape is { IsOn: true } ? new PacedBody(context.Response.Body, shape, TimeProvider.System, context.RequestAborted) : null;
        try
        {
            await WriteAsync(context, paced, stall, events, typed, receipt, begins);
        }
        finally
        {
            if (paced is not null)
            {
                await paced.DisposeAsync().AsTask().CutAfterAsync(context, stall);
            }
        }
    }

    private static async Task WriteAsync(
        HttpContext context, PacedBody? paced, TimeSpan stall, IAsyncEnumerable<NumberedEvent> events, bool typed, Func<Receipt?>? receipt, Action? begins)
    {
        bool started = false;
        try
        {
            await foreach (NumberedEvent next in events)
            {
                if (!started)
                {
                    started = true;
                    begins?.Invoke();
                    Start(context);
                }

                byte[] frame = Frame($"{(typed ? $"event: {TypeOf(next.Json)}\n" : "")}id: {next.Number.ToString(CultureInfo.InvariantCulture)}\n", next.Json);
                await SendAsync(context, paced, stall, frame, receipt?.Invoke() is { } counted ? () => counted.Sending(next.TokensBefore, next.Tokens) : null);
            }
        }
        catch (ApiException e) when (started)
        {
            await SendAsync(context, paced, stall, Frame(typed ? "event: error\n" : "", typed ? e.Error.ToTypedEvent() : e.Error.ToBody()), null);
            return;
        }

        if (!started)
        {
            Start(context);
        }

        if (!typed)
        {
            await SendAsync(context, paced, stall, s_done, null);
        }
    }

    private static byte[] Frame(string id, byte[] json)
    {
        byte[] frame = new byte[id.Length + json.Length + 8];
        int length = Encoding.ASCII.GetBytes(id, frame);
        "data: "u8.CopyTo(frame.AsSpan(length));
        json.CopyTo(frame, length + 6);
        "\n\n"u8.CopyTo(frame.AsSpan(length + 6 + json.Length));
        return frame;
    }

    private static Task SendAsync(HttpContext context, PacedBody? paced, TimeSpan stall, byte[] frame, Action? sending) =>
        (paced is not null ? paced.WriteAsync(frame, sending) : SendAsync(context, frame, sending)).CutAfterAsync(context, stall);

    private static async Task SendAsync(HttpContext context, byte[] frame, Action? sending)
    {
        sending?.Invoke();
        await context.Response.Body.WriteAsync(frame, context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    /// <summary>The value of the first field.</summary>
    private static string TypeOf(byte[] json)
    {
        var reader = new Utf8JsonReader(json);
        return reader.Read() && reader.Read() && reader.ValueTextEquals("type") && reader.Read() ? reader.GetString()! : throw new InvalidOperationException("an event has no type");
    }

    private static void Start(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
    }
}
