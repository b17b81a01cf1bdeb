using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Status;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// <c>GET /admin/cells</c>: nodes and deployments of the cells that this coordinator serves, as <c>/status.json</c> shows one. <c>POST /admin/cells/{tenant}/nodes/{node}/drain</c>
/// has a node's stages placed elsewhere, after which it leaves.
/// </summary>
internal sealed class CellEndpoints(Func<IReadOnlyList<Cell>> cells)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/admin/cells", ListAsync);
        routes.MapPost("/admin/cells/{tenant}/nodes/{node}/drain", DrainAsync);
    }

    private Task ListAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        return JsonBody.WriteAsync(context, json => AdminJson.WriteList(
            json, cells().Where(cell => caller.MaySee(cell.Tenant)), (writer, cell) => StatusJson.Write(writer, StatusView.Of(cell))));
    }

    private Task DrainAsync(HttpContext context)
    {
        TenantId tenant = context.RouteTenant();
        string name = context.RouteText("node");
        if (!Names.IsValid(name) || cells().FirstOrDefault(cell => cell.Tenant == tenant)?.Drain(new NodeName(name)) != true)
        {
            throw ApiError.NodeNotFound().AsException();
        }

        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("node", name);
            json.WriteString("status", "draining");
            json.WriteEndObject();
        }, StatusCodes.Status202Accepted);
    }
}
