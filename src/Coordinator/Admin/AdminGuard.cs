using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Admin;

/// <summary>Asks every request for a key with the scope admin, on loopback as well, and for an operator's where the route says so.</summary>
internal sealed class AdminGuard(Credentials credentials)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        Endpoint? endpoint = context.GetEndpoint();
        if (ReferenceEquals(endpoint?.Metadata.GetMetadata<RequiredScope>(), RequiredScope.Nothing))
        {
            await next(context);
            return;
        }

        (ApiKey? key, ApiError? error) = await credentials.AuthenticateAsync(context.Request.Headers.Authorization, context.RequestAborted);
        error ??= !key!.Scopes.HasFlag(KeyScopes.Admin) ? ApiError.MissingScope("the key lacks the scope admin")
            : key.Tenant is not null && endpoint?.Metadata.GetMetadata<OperatorOnly>() is not null ? ApiError.MissingScope("this needs an operator's key")
            : null;
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        context.Features.Set(new AdminCaller(key!.Tenant, key.Id));
        await using CancellationTokenRegistration ended = credentials.Ring.EndOf(key.Id, key.Tenant).Register(context.Abort);
        await next(context);
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
