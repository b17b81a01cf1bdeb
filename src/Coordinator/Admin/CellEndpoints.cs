using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Status;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary><c>GET /admin/cells</c>: nodes and deployments of the cells that this coordinator serves, as <c>/status.json</c> shows one.</summary>
internal sealed class CellEndpoints(Func<IReadOnlyList<Cell>> cells)
{
    public void Map(IEndpointRouteBuilder routes) => routes.MapGet("/admin/cells", context =>
    {
        AdminCaller caller = AdminCaller.Of(context);
        return JsonBody.WriteAsync(context, json => AdminJson.WriteList(
            json, cells().Where(cell => caller.MaySee(cell.Tenant)), (writer, cell) => StatusJson.Write(writer, StatusView.Of(cell))));
    });
}
