using System.IO.Compression;
using Lamina.Coordinator.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace Lamina.Coordinator.Dashboard;

/// <summary>The files of a page, from this assembly: compressed once at start, with a policy under which nothing but the page's own files runs, asks or is shown.</summary>
internal static class PageAssets
{
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// <summary>Files of the one library that is not ours, as its npm package has them: uPlot 1.6.32.</summary>
    private const string Library = "uPlot", LibraryLicence = "LICENSE";

    private sealed record Asset(string ContentType, byte[] Body, byte[] Gzip, byte[] Brotli);

    /// <summary>Maps the page to its route and the files that it names to routes below; everybody may read them, since they are alike for all.</summary>
    public static void Map(IEndpointRouteBuilder routes, string page, string route, params string[] files)
    {
        foreach ((string name, string at) in files.Select(file => (file, $"{route}/{file}")).Prepend((page, route)))
        {
            Asset asset = Read(name);
            routes.MapGet(at, context => WriteAsync(context, asset)).AllowEverybody();
        }
    }

    private static Task WriteAsync(HttpContext context, Asset asset)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers.CacheControl = "no-cache";
        headers.Vary = "Accept-Encoding";
        context.Response.ContentType = asset.ContentType;
        (string? encoding, byte[] body) = Accepts(context, "br") ? ("br", asset.Brotli) : Accepts(context, "gzip") ? ("gzip", asset.Gzip) : (null, asset.Body);
        headers.ContentEncoding = encoding;
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    /// <summary>Nothing secret stands in these files beside what a request says, so that their lengths betray nothing.</summary>
    private static bool Accepts(HttpContext context, string encoding) =>
        context.Request.GetTypedHeaders().AcceptEncoding.Any(accepted => accepted.Value.Equals(encoding, StringComparison.OrdinalIgnoreCase) && accepted.Quality is not 0);

    private static Asset Read(string name)
    {
        // Each copy of the library takes its licence along.
        byte[] body = name.StartsWith(Library, StringComparison.Ordinal) ? [.. "/*\n"u8, .. Bytes(LibraryLicence), .. "\n*/\n"u8, .. Bytes(name)] : Bytes(name);
        string contentType = Path.GetExtension(name) switch
        {
            ".html" => "text/html; charset=utf-8",
            ".css" => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        return new Asset(
            contentType, body, Compress(body, to => new GZipStream(to, CompressionLevel.Optimal, leaveOpen: true)), Compress(body, to => new BrotliStream(to, CompressionLevel.Optimal, leaveOpen: true)));
    }

    private static byte[] Bytes(string name)
    {
        using Stream stream = typeof(PageAssets).Assembly.GetManifestResourceStream($"Lamina.Coordinator.Dashboard.{name}")
            ?? throw new InvalidOperationException($"{name} is not built in");
        using var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        return buffer.ToArray();
    }

    private static byte[] Compress(byte[] body, Func<Stream, Stream> open)
    {
        using var compressed = new MemoryStream();
        using (Stream stream = open(compressed))
        {
            stream.Write(body);
        }

        return compressed.ToArray();
    }
}
