using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Prometheus;

namespace Lamina.Coordinator.Api;

/// <summary><c>GET /metrics</c> in Prometheus' text format.</summary>
internal sealed class MetricsEndpoint(ApiMetrics metrics)
{
    public const string Route = "/metrics";

    public void Map(IEndpointRouteBuilder routes) => routes.MapGet(Route, async context =>
    {
        context.Response.ContentType = PrometheusConstants.TextContentTypeWithVersionAndEncoding;
        await metrics.Registry.CollectAndExportAsTextAsync(context.Response.Body, context.RequestAborted);
    });
}
