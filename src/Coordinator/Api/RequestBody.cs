using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>Reads a JSON request body whole, within the size limit.</summary>
internal static class RequestBody
{
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request)
    {
        if (!request.HasJsonContentType())
        {
            throw ApiError.UnsupportedMediaType().AsException();
        }

        if (request.ContentLength > ApiLimits.MaxBodyBytes)
        {
            throw ApiError.BodyTooLarge(ApiLimits.MaxBodyBytes).AsException();
        }

        using var buffer = new MemoryStream((int)(request.ContentLength ?? 4096));
        byte[] chunk = new byte[16384];
        int read;
        while ((read = await request.Body.ReadAsync(chunk, request.HttpContext.RequestAborted)) > 0)
        {
            if (buffer.Length + read > ApiLimits.MaxBodyBytes)
            {
                throw ApiError.BodyTooLarge(ApiLimits.MaxBodyBytes).AsException();
            }

            buffer.Write(chunk, 0, read);
        }

        return buffer.ToArray();
    }
}
