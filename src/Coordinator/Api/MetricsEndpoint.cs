using System.Text;
using Lamina.Coordinator.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Prometheus;

namespace Lamina.Coordinator.Api;

/// <summary>
/// <c>GET /metrics</c> in Prometheus' text format: everything for the local user, and for a key the series of its own tenant. The health listener shows everything to
/// whoever scrapes the whole process.
/// </summary>
internal sealed class MetricsEndpoint(ApiMetrics metrics)
{
    public const string Route = "/metrics";

    public void Map(IEndpointRouteBuilder routes) => routes.MapGet(Route, async context =>
    {
        Caller caller = Caller.Of(context);
        context.Response.ContentType = PrometheusConstants.TextContentTypeWithVersionAndEncoding;
        if (caller.Key is null)
        {
            await metrics.Registry.CollectAndExportAsTextAsync(context.Response.Body, context.RequestAborted);
            return;
        }

        using var all = new MemoryStream();
        await metrics.Registry.CollectAndExportAsTextAsync(all, context.RequestAborted);
        await context.Response.WriteAsync(OfTenant(Encoding.UTF8.GetString(all.GetBuffer(), 0, (int)all.Length), caller.Tenant.Value), context.RequestAborted);
    }).Require(KeyScopes.Usage);

    /// <summary>The series with that tenant's label, and the descriptions. A series without the label may tell of others.</summary>
    internal static string OfTenant(string text, string tenant)
    {
        // Names of tenants hold nothing that the format would escape, and label values are the only quoted texts.
        string label = $"tenant=\"{tenant}\"";
        var own = new StringBuilder();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] == '#' || HasLabel(line, label)))
        {
            own.Append(line).Append('\n');
        }

        return own.ToString();
    }

    private static bool HasLabel(string line, string label)
    {
        int at = line.IndexOf(label, StringComparison.Ordinal);
        return at > 0 && (line[at - 1] is '{' or ',');
    }
}
