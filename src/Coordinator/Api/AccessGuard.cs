using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Listening;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Resolves the caller of every request from its key and refuses what has none, before any endpoint runs and whatever the address: without a key one cannot even
/// learn which addresses exist. What runs for a key that is revoked or suspended is cut off.
/// </summary>
internal sealed class AccessGuard(Credentials credentials)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        RequiredScope required = context.GetEndpoint()?.Metadata.GetMetadata<RequiredScope>() ?? RequiredScope.Default;
        if (ReferenceEquals(required, RequiredScope.Nothing))
        {
            await next(context);
            return;
        }

        (ApiKey? key, ApiError? error) = await credentials.AuthenticateAsync(context.Request.Headers.Authorization, context.RequestAborted);
        error ??= Authorize(key!, context.GetEndpoint() is null ? KeyScopes.None : required.Scope);
        if (error is not null)
        {
            await error.WriteAsync(context);
            return;
        }

        context.Features.Set(new Caller(key!.Tenant!.Value, key.Id, key.Scopes) { IsOwedAnAnswer = Departure.Owes(context) });
        await using CancellationTokenRegistration ended = credentials.Ring.EndOf(key.Id, key.Tenant).Register(context.Abort);
        await next(context);
    }

    private static ApiError? Authorize(ApiKey key, KeyScopes required) =>
        key.Tenant is null ? ApiError.MissingScope("an operator's key works on the admin listener only")
        : (key.Scopes & required) != required ? ApiError.MissingScope($"the key lacks the scope {KeyScopeNames.Format(required)}")
        : null;
}
