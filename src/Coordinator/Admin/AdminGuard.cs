using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Dashboard;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// Asks every request for a key with the scope admin, on loopback as well, and for an operator's where the route says so. A session of the dashboard stands for the key that
/// began it; what it changes must come from the dashboard's own page.
/// </summary>
internal sealed class AdminGuard(Credentials credentials, DashboardSessions sessions, string cookieName)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        Endpoint? endpoint = context.GetEndpoint();
        if (ReferenceEquals(endpoint?.Metadata.GetMetadata<RequiredScope>(), RequiredScope.Nothing))
        {
            await next(context);
            return;
        }

        (AdminCaller? caller, ApiError? error) = context.Request.Headers.Authorization.Count == 0 && context.Request.Cookies[cookieName] is { } cookie ? OfSession(context, cookie) : await OfKeyAsync(context);
        error ??= caller!.Tenant is not null && endpoint?.Metadata.GetMetadata<OperatorOnly>() is not null ? ApiError.MissingScope("this needs an operator's key") : null;
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        context.Features.Set(caller!);
        await using CancellationTokenRegistration ended = credentials.Ring.EndOf(caller!.Key, caller.Tenant).Register(context.Abort);
        await next(context);
    }

    private async Task<(AdminCaller? Caller, ApiError? Error)> OfKeyAsync(HttpContext context)
    {
        (ApiKey? key, ApiError? error) = await credentials.AuthenticateAsync(context.Request.Headers.Authorization, context.RequestAborted);
        return error is not null ? (null, error)
            : !key!.Scopes.HasFlag(KeyScopes.Admin) ? (null, ApiError.MissingScope("the key lacks the scope admin"))
            : (new AdminCaller(key.Tenant, key.Id), null);
    }

    private (AdminCaller? Caller, ApiError? Error) OfSession(HttpContext context, string cookie)
    {
        if (sessions.Find(cookie) is not { } session)
        {
            return (null, ApiError.MissingKey());
        }

        bool changes = !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method);
        return changes && !DashboardSessions.IsOwnPage(session, context.Request.Headers[DashboardEndpoints.CsrfHeader])
            ? (null, ApiError.Forbidden("the request did not come from the dashboard's own page"))
            : (new AdminCaller(session.Tenant, session.Key), null);
    }
}

/// <summary>Marks a route that a tenant's own administrator may not use.</summary>
internal sealed class OperatorOnly
{
    public static OperatorOnly Instance { get; } = new();
}

internal static class OperatorRoutes
{
    public static T ForOperators<T>(this T endpoint)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(OperatorOnly.Instance);
}
