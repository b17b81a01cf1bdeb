using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// <c>POST /admin/cells/{tenant}/deployments/{deployment}/replan</c> has the pipelines planned anew with the nodes that are up, and replaces those whose plan turns out different;
/// <c>.../roll</c> loads every one anew, one after the other, of what the model's file holds now. Each new pipeline is built beside the one that serves. <c>GET</c> of either tells what it would do and whose answers run there.
/// </summary>
internal sealed class DeploymentEndpoints(Func<IReadOnlyList<Cell>> cells, QuotaControl quotas)
{
    private const string Item = "/admin/cells/{tenant}/deployments/{deployment}";

    public void Map(IEndpointRouteBuilder routes)
    {
        foreach ((string action, bool roll) in new[] { ("/replan", false), ("/roll", true) })
        {
            routes.MapGet(Item + action, context => AnswerAsync(context, roll, apply: false));
            routes.MapPost(Item + action, context => AnswerAsync(context, roll, apply: true));
        }
    }

    private async Task AnswerAsync(HttpContext context, bool roll, bool apply)
    {
        TenantId tenant = context.RouteTenant();
        string name = context.RouteText("deployment");
        Cell? cell = cells().FirstOrDefault(cell => cell.Tenant == tenant);
        if (!Names.IsValidModel(name) || cell?.PreviewReplan(name, roll) is not { } replacements)
        {
            throw (ApiError.RouteNotFound() with { Message = "there is no such deployment" }).AsException();
        }

        if (apply && await cell.ReplanAsync(name, roll) is { } problem)
        {
            throw ApiError.ModelNotTaken(problem).AsException();
        }

        MeteredAnswer[] answers = [.. quotas.Running.All.Where(answer => answer.Caller.Tenant == tenant && answer.Meter.Model == name)];
        await JsonBody.WriteAsync(context, json => Write(json, name, replacements, answers), apply ? StatusCodes.Status202Accepted : StatusCodes.Status200OK);
    }

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyList<DeploymentState.Replacement> replacements, MeteredAnswer[] answers)
    {
        json.WriteStartObject();
        json.WriteString("deployment", name);
        json.WriteStartArray("pipelines");
        foreach (DeploymentState.Replacement one in replacements)
        {
            json.WriteStartObject();
            json.WriteNumber("epoch", one.Standing.Epoch);
            json.WriteBoolean("replaced", one.Plan is not null);
            json.WriteString("problem", one.Problem);
            WriteStages(json, "now", one.Standing.Plan);
            WriteStages(json, "then", one.Plan ?? one.Standing.Plan);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("affected");
        json.WriteNumber("answers", answers.Length);
        json.WriteStartArray("keys");
        foreach (string key in answers.Select(answer => answer.Caller.Key ?? "local").Distinct().Order(StringComparer.Ordinal))
        {
            json.WriteStringValue(key);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteStages(Utf8JsonWriter json, string name, Plan plan)
    {
        json.WriteStartArray(name);
        foreach (StagePlan stage in plan.Pipelines.SelectMany(pipeline => pipeline.Stages))
        {
            json.WriteStartObject();
            json.WriteString("node", stage.Node.Value);
            json.WriteNumber("firstLayer", stage.Layers.First);
            json.WriteNumber("lastLayer", stage.Layers.End - 1);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
