using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Lamina.Coordinator.Batches.Files;

/// <summary>Reads the form of <c>POST /v1/files</c>; the file's content goes to disk as it comes, whichever part is first.</summary>
internal static class FileForm
{
    private const int MaxFieldBytes = 1024;
    private const int MaxParts = 16;
    private const int MaxNameLength = 256;
    private const int MaxBoundaryLength = 128;

    /// <summary>What the form may take beside the file itself.</summary>
    private const int FormBytes = 64 << 10;

    public const long MinExpirySeconds = 3600;
    public const long MaxExpirySeconds = 30 * 86400;

    public static async Task<StoredFile> ReadAsync(HttpContext context, FileStore store, long maxFileBytes)
    {
        MultipartReader parts = Open(context, maxFileBytes);
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        FileUpload? upload = null;
        string? name = null;
        try
        {
            for (int count = 0; await NextAsync(parts, context.RequestAborted) is { } part; count++)
            {
                ContentDispositionHeaderValue? disposition = part.GetContentDispositionHeader();
                string field = Unquoted(disposition?.Name);
                if (count == MaxParts)
                {
                    throw BatchErrors.Malformed($"the form has more than {MaxParts} parts");
                }

                if (field == "file" && upload is null)
                {
                    name = FileName(disposition!);
                    upload = store.BeginUpload();
                    await CopyAsync(part.Body, upload, context.RequestAborted);
                }
                else if (field.Length == 0 || field == "file" || !fields.TryAdd(field, await TextAsync(part.Body, field, context.RequestAborted)))
                {
                    throw BatchErrors.Malformed(field.Length == 0 ? "a part of the form has no name" : "the form names a part twice");
                }
            }

            long? expires = Check(fields);
            return upload is null
                ? throw new Api.ApiException(Api.ApiError.Missing("file"))
                : await upload.CompleteAsync(name!, expires, context.RequestAborted);
        }
        finally
        {
            if (upload is not null)
            {
                await upload.DisposeAsync();
            }
        }
    }

    /// <summary>The seconds of <c>expires_after</c>, after all fields were found to be ones that are honoured.</summary>
    internal static long? Check(Dictionary<string, string> fields)
    {
        if (!fields.Remove("purpose", out string? purpose))
        {
            throw new Api.ApiException(Api.ApiError.Missing("purpose"));
        }

        if (purpose != StoredFile.InputPurpose)
        {
            throw BatchErrors.Invalid("purpose", "'purpose' must be batch: files serve as input of batches only");
        }

        bool anchored = fields.Remove("expires_after[anchor]", out string? anchor);
        bool timed = fields.Remove("expires_after[seconds]", out string? seconds);
        if (fields.Keys.FirstOrDefault() is { } unknown)
        {
            throw new Api.ApiException(Api.ApiError.Unknown(unknown.Length <= 64 ? unknown : unknown[..64]));
        }

        if (anchored != timed || (anchored && anchor != "created_at"))
        {
            throw BatchErrors.Invalid("expires_after", "'expires_after' needs the anchor created_at and its seconds");
        }

        return !timed ? null
            : long.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out long value) && value is >= MinExpirySeconds and <= MaxExpirySeconds ? value
            : throw BatchErrors.Invalid("expires_after[seconds]", $"'expires_after[seconds]' must be an integer from {MinExpirySeconds} to {MaxExpirySeconds}");
    }

    private static MultipartReader Open(HttpContext context, long maxFileBytes)
    {
        if (!MediaTypeHeaderValue.TryParse(context.Request.ContentType, out MediaTypeHeaderValue? type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
        {
            throw BatchErrors.NotMultipart();
        }

        string boundary = Unquoted(type.Boundary);
        if (boundary.Length is 0 or > MaxBoundaryLength)
        {
            throw BatchErrors.Malformed("the form's boundary is missing or too long");
        }

        if (context.Request.ContentLength > maxFileBytes + FormBytes)
        {
            throw BatchErrors.FileTooLarge(maxFileBytes);
        }

        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = maxFileBytes + FormBytes;
        return new MultipartReader(boundary, context.Request.Body, 1 << 16) { HeadersCountLimit = 8, HeadersLengthLimit = 4096, BodyLengthLimit = null };
    }

    private static Task<MultipartSection?> NextAsync(MultipartReader parts, CancellationToken cancellation) => WellFormedAsync(parts.ReadNextSectionAsync(cancellation));

    private static async Task CopyAsync(Stream body, FileUpload upload, CancellationToken cancellation)
    {
        byte[] chunk = new byte[1 << 16];
        int read;
        while ((read = await WellFormedAsync(body.ReadAsync(chunk, cancellation).AsTask())) > 0)
        {
            await upload.AppendAsync(chunk.AsMemory(0, read), cancellation);
        }
    }

    private static async Task<string> TextAsync(Stream body, string field, CancellationToken cancellation)
    {
        byte[] text = new byte[MaxFieldBytes + 1];
        int read = await WellFormedAsync(body.ReadAtLeastAsync(text, text.Length, throwOnEndOfStream: false, cancellation).AsTask());
        return read <= MaxFieldBytes ? Encoding.UTF8.GetString(text, 0, read) : throw BatchErrors.Invalid(field.Length <= 64 ? field : field[..64], $"a field of the form is longer than {MaxFieldBytes} bytes");
    }

    /// <summary>What a read of the form gives; a form that breaks its own rules, or ends in the middle, is the caller's fault and not the server's.</summary>
    private static async Task<T> WellFormedAsync<T>(Task<T> reading)
    {
        try
        {
            return await reading;
        }
        catch (Exception e) when (e is InvalidDataException || (e is IOException and not BadHttpRequestException))
        {
            throw BatchErrors.Malformed("the form is not well-formed multipart/form-data");
        }
    }

    /// <summary>A name to show, never a path.</summary>
    private static string FileName(ContentDispositionHeaderValue disposition)
    {
        string name = Unquoted(disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName);
        name = name[(name.LastIndexOfAny(['/', '\\']) + 1)..];
        return name.Length is > 0 and <= MaxNameLength && !name.Any(char.IsControl)
            ? name
            : throw BatchErrors.Invalid("file", $"the file needs a name of 1 to {MaxNameLength} characters");
    }

    private static string Unquoted(Microsoft.Extensions.Primitives.StringSegment? text) => text is { HasValue: true } segment ? HeaderUtilities.RemoveQuotes(segment).ToString() : "";
}
