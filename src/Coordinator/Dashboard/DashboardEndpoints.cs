using Lamina.Coordinator.Access;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Dashboard;

/// <summary>
/// <c>/dashboard</c> on the admin listener: a page, signing in and out with a key of the scope admin, and the stream of events that keeps the page fresh. What the page
/// changes goes through the routes under <c>/admin</c>, with the session's cookie in place of the key.
/// </summary>
internal sealed class DashboardEndpoints(KeyRing ring, DashboardSessions sessions, DashboardFeed feed, bool isHttps)
{
    public const string PageRoute = "/dashboard";
    public const string CsrfHeader = "X-Lamina-Csrf";

    private const int MaxKeyLength = 256;

    /// <summary>The <c>__Host-</c> prefix makes a browser refuse the cookie unless it came by HTTPS, from this very host, for all of it.</summary>
    public static string CookieName(bool isHttps) => isHttps ? "__Host-lamina" : "lamina";

    public void Map(IEndpointRouteBuilder routes)
    {
        PageAssets.Map(routes, "dashboard.html", PageRoute, "uPlot.min.css", "dashboard.css", "uPlot.iife.min.js", "dashboard.js", "chart.js", "view.js", "usage.js", "quotas.js");
        routes.MapPost(PageRoute + "/login", LogInAsync).AllowEverybody();
        routes.MapGet(PageRoute + "/session", SessionAsync);
        routes.MapPost(PageRoute + "/logout", LogOutAsync);
        routes.MapGet(PageRoute + "/events", EventsAsync);
    }

    private async Task LogInAsync(HttpContext context)
    {
        // A form of another page cannot send JSON, so it cannot sign its reader in as somebody else.
        if (context.Request.ContentType?.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) != true)
        {
            throw ApiError.InvalidBody("the body must be application/json").AsException();
        }

        string text = await AdminRequest.ReadAsync(context, fields => JsonFields.Text(fields.TakeRequired("key"), "key", MaxKeyLength));
        (ApiKey? key, KeyRefusal? refusal) = await ring.AuthenticateAsync(text.AsMemory().Trim(), context.RequestAborted);
        if (key is null || !key.Scopes.HasFlag(KeyScopes.Admin))
        {
            throw Credentials.ErrorOf(refusal).AsException();
        }

        context.Features.Set(new AdminCaller(key.Tenant, key.Id));
        (string cookie, DashboardSession session) = sessions.Begin(key);
        context.Response.Cookies.Append(CookieName(isHttps), cookie, new CookieOptions { HttpOnly = true, Secure = isHttps, SameSite = SameSiteMode.Strict, Path = "/" });
        await WriteSessionAsync(context, session);
    }

    private Task SessionAsync(HttpContext context) => WriteSessionAsync(context, SessionOf(context));

    private Task LogOutAsync(HttpContext context)
    {
        sessions.End(context.Request.Cookies[CookieName(isHttps)]!);
        context.Response.Cookies.Delete(CookieName(isHttps));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private Task EventsAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        string? cookie = context.Request.Cookies[CookieName(isHttps)];
        return EventStream.WriteAsync(context, json => feed.Write(json, caller), () => cookie is null || sessions.Find(cookie) is not null);
    }

    private DashboardSession SessionOf(HttpContext context) =>
        sessions.Find(context.Request.Cookies[CookieName(isHttps)]) ?? throw ApiError.MissingKey().AsException();

    private static Task WriteSessionAsync(HttpContext context, DashboardSession session)
    {
        context.Response.Headers.CacheControl = "no-store";
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("csrf", session.Csrf);
            json.WriteString("key", session.Key);
            json.WriteString("tenant", session.Tenant?.Value);
            json.WriteBoolean("operator", session.Tenant is null);
            json.WriteEndObject();
        });
    }
}
