using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>Writes JSON answers: control characters, quotes and whatever means something to HTML are escaped, other text is not.</summary>
internal static class JsonBody
{
    /// <summary>What a slow reader must take within the limit for stalled ones.</summary>
    private const int PieceBytes = 64 << 10;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.Create(UnicodeRanges.All) };

    public static byte[] Of(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream(512);
        using (var json = new Utf8JsonWriter(buffer, s_options))
        {
            write(json);
        }

        return buffer.ToArray();
    }

    public static Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write, int status = 200)
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, Of(write));
    }

    public static async Task WriteAsync(HttpContext context, byte[] body)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        for (int at = 0; at < body.Length; at += PieceBytes)
        {
            await context.Response.Body.WriteAsync(body.AsMemory(at, Math.Min(PieceBytes, body.Length - at)), context.RequestAborted).AsTask().CutAfterAsync(context, StalledReader.DefaultLimit);
        }
    }
}
