using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>Server-sent events: one <c>data:</c> line of JSON and an empty line per event; JSON holds no raw line ends, so neither does an event.</summary>
internal sealed class SseWriter(HttpContext context)
{
    private static readonly byte[] s_done = "data: [DONE]\n\n"u8.ToArray();

    public bool Started { get; private set; }

    public async Task SendAsync(byte[] json)
    {
        Start();
        byte[] frame = new byte[json.Length + 8];
        "data: "u8.CopyTo(frame);
        json.CopyTo(frame, 6);
        "\n\n"u8.CopyTo(frame.AsSpan(json.Length + 6));
        await context.Response.Body.WriteAsync(frame, context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    public async Task DoneAsync()
    {
        Start();
        await context.Response.Body.WriteAsync(s_done, context.RequestAborted);
    }

    private void Start()
    {
        if (Started)
        {
            return;
        }

        Started = true;
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
    }
}
