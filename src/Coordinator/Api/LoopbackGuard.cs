using System.Net;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api.Listening;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Who may use the API without a key: programs on this machine. A web page in this machine's browser may not, so the Host header must name a loopback address
/// (no name rebound to one) and an Origin header, which browsers add, must be the server's own.
/// </summary>
public static class LoopbackGuard
{
    public static ApiError? Check(HostString host, string? origin)
    {
        if (!IsLoopback(host.Host))
        {
            return ApiError.Forbidden("the Host header must name this machine: localhost, 127.0.0.1 or [::1]");
        }

        return origin is null || string.Equals(origin, $"http://{host.Value}", StringComparison.OrdinalIgnoreCase)
            ? null
            : ApiError.Forbidden("requests from pages of other origins are not allowed");
    }

    public static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <summary>Resolves the caller of every request to the one cell's tenant.</summary>
    public static Func<HttpContext, RequestDelegate, Task> Middleware(TenantId tenant) => async (context, next) =>
    {
        string? origin = context.Request.Headers.Origin.Count == 0 ? null : context.Request.Headers.Origin.ToString();
        if (Check(context.Request.Host, origin) is { } error)
        {
            await error.WriteAsync(context);
            return;
        }

        context.Features.Set(new Caller(tenant, null) { IsOwedAnAnswer = Departure.Owes(context) });
        await next(context);
    };
}
