using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>GET /health/live</c>: the process answers. <c>GET /health/ready</c>: every model of the caller's tenant serves.</summary>
internal sealed class HealthEndpoints(Func<IReadOnlyList<Cell>> cells)
{
    public const string LiveRoute = "/health/live";
    public const string ReadyRoute = "/health/ready";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(LiveRoute, context => WriteAsync(context, "live", 200)).AllowEverybody();
        routes.MapGet(ReadyRoute, context =>
        {
            TenantId tenant = Caller.Of(context).Tenant;
            bool ready = cells().Where(cell => cell.Tenant == tenant).All(cell => !cell.IsRefusing && cell.Deployments.All(deployment => deployment.Phase == DeploymentPhase.Ready));
            return WriteAsync(context, ready ? "ready" : "not ready", ready ? 200 : 503);
        }).Require(KeyScopes.None);
    }

    private static Task WriteAsync(HttpContext context, string status, int code) => JsonBody.WriteAsync(context, json =>
    {
        json.WriteStartObject();
        json.WriteString("status", status);
        json.WriteEndObject();
    }, code);
}
