using System.Text;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api.Status;

/// <summary><c>GET /</c>, a page that shows the cell, and <c>GET /status.json</c>, which keeps it fresh.</summary>
internal sealed class StatusEndpoints(ModelLookup models)
{
    public const string PageRoute = "/";
    public const string JsonRoute = "/status.json";
    public const string ScriptRoute = "/assets/status.js";
    public const string StyleRoute = "/assets/status.css";

    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly byte[] s_script = Asset("status.js");
    private static readonly byte[] s_style = Asset("status.css");

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(PageRoute, context => WriteAsync(context, "text/html; charset=utf-8", Encoding.UTF8.GetBytes(StatusPage.Render(ViewOf(context))))).Require(KeyScopes.Usage);
        routes.MapGet(ScriptRoute, context => WriteAsync(context, "text/javascript; charset=utf-8", s_script)).Require(KeyScopes.Usage);
        routes.MapGet(StyleRoute, context => WriteAsync(context, "text/css; charset=utf-8", s_style)).Require(KeyScopes.Usage);
        routes.MapGet(JsonRoute, context => JsonBody.WriteAsync(context, json => StatusJson.Write(json, ViewOf(context)))).Require(KeyScopes.Usage);
    }

    private StatusView ViewOf(HttpContext context) => StatusView.Of(models.CellOf(Caller.Of(context)));

    private static Task WriteAsync(HttpContext context, string contentType, byte[] body)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-store";
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }

    private static byte[] Asset(string name)
    {
        using Stream stream = typeof(StatusEndpoints).Assembly.GetManifestResourceStream($"Lamina.Coordinator.Api.Status.{name}")
            ?? throw new InvalidOperationException($"{name} is not built in");
        using var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        return buffer.ToArray();
    }
}
