using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>POST /v1/nodes/{name}/drain</c>: has the node's stages placed elsewhere, after which it leaves the cell and ends. For whoever manages the tenant.</summary>
internal sealed class NodesEndpoint(ModelLookup models)
{
    public const string DrainRoute = "/v1/nodes/{name}/drain";

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost(DrainRoute, DrainAsync).Require(KeyScopes.Admin);

    private Task DrainAsync(HttpContext context)
    {
        string name = (string)context.GetRouteValue("name")!;
        if (!Names.IsValid(name) || !models.CellOf(Caller.Of(context)).Drain(new NodeName(name)))
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
