using System.Text.Json;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Dashboard;

/// <summary>Server-sent events: a snapshot at once and every second from then on, until the page goes or may see no more.</summary>
internal static class EventStream
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    public static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> snapshot, Func<bool> mayGoOn)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        using var timer = new PeriodicTimer(s_interval);
        do
        {
            await context.Response.Body.WriteAsync((byte[])[.. "data: "u8, .. JsonBody.Of(snapshot), .. "\n\n"u8], context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
        while (await timer.WaitForNextTickAsync(context.RequestAborted) && mayGoOn());
    }
}
