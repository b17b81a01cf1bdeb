using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>Counts a request against its caller's quota where the endpoint computes no answer that would be counted by itself: texts into tokens, files, batches.</summary>
internal sealed class RequestQuota(Metering metering)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Mark>() is not null)
        {
            (await metering.CountAsync(Caller.Of(context), context.RequestAborted)).WriteTo(context.Response.Headers);
        }

        await next(context);
    }

    internal sealed class Mark
    {
        public static readonly Mark Instance = new();
    }
}

internal static class RequestQuotaExtensions
{
    /// <summary>Has every request of the endpoint counted.</summary>
    public static IEndpointConventionBuilder Counted(this IEndpointConventionBuilder endpoint) => endpoint.WithMetadata(RequestQuota.Mark.Instance);
}
