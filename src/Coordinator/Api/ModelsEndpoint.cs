using System.Text.Json;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>: the models that exist for the caller, ready or not.</summary>
internal sealed class ModelsEndpoint(ModelLookup models)
{
    public const string ListRoute = "/v1/models";
    public const string ItemRoute = "/v1/models/{id}";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(ListRoute, ListAsync);
        routes.MapGet(ItemRoute, ItemAsync);
    }

    private Task ListAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        Cell cell = models.CellOf(caller);
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            foreach (DeploymentView deployment in cell.Deployments.Where(deployment => models.Allows(caller, deployment.Name)))
            {
                Write(json, cell, deployment);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private Task ItemAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        Cell cell = models.CellOf(caller);
        string? id = context.GetRouteValue("id") as string;
        DeploymentView deployment = cell.Deployments.FirstOrDefault(deployment => deployment.Name == id && models.Allows(caller, deployment.Name)) ?? throw ApiError.ModelNotFound().AsException();
        return JsonBody.WriteAsync(context, json => Write(json, cell, deployment));
    }

    private static void Write(Utf8JsonWriter json, Cell cell, DeploymentView deployment)
    {
        ServedModel? model = cell.FindModel(deployment.Name);
        json.WriteStartObject();
        json.WriteString("id", deployment.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created", model?.CreatedUnixSeconds ?? 0);
        json.WriteString("owned_by", cell.Tenant.Value);
        json.WriteEndObject();
    }
}
