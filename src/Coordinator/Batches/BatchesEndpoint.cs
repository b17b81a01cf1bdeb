using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Batches;

/// <summary><c>/v1/batches</c>: create, retrieve, list, cancel. A tenant's batches are found by all of its keys and by no other's.</summary>
internal sealed class BatchesEndpoint(BatchService batches, Metering metering)
{
    public const string ListRoute = "/v1/batches";
    public const string ItemRoute = "/v1/batches/{id}";
    public const string CancelRoute = "/v1/batches/{id}/cancel";

    private const int StandardPage = 20;
    private const int LargestPage = 100;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(ListRoute, CreateAsync).Counted();
        routes.MapGet(ListRoute, ListAsync);
        routes.MapGet(ItemRoute, context => WriteAsync(context, Of(context).Require(Id(context))));
        routes.MapPost(CancelRoute, context => WriteAsync(context, Of(context).Cancel(Id(context))));
    }

    private static Task WriteAsync(HttpContext context, BatchRecord batch) => JsonBody.WriteAsync(context, json => BatchJson.Write(json, batch));

    private static string? Id(HttpContext context) => context.GetRouteValue("id") as string;

    private TenantBatches Of(HttpContext context) => batches.Of(Caller.Of(context));

    private async Task CreateAsync(HttpContext context)
    {
        BatchRecord created;
        using (RequestBody body = await metering.ReadAsync(context))
        {
            created = Of(context).Create(BatchRequest.Parse(body.Bytes, batches.Endpoints), Caller.Of(context));
        }

        await WriteAsync(context, created);
    }

    private Task ListAsync(HttpContext context)
    {
        IQueryCollection query = context.Request.Query;
        Page.Require(query, "limit", "after");
        string? after = query.TryGetValue("after", out var text) ? text.ToString() : null;
        Page<BatchRecord> page = Page.Of(Of(context).All, batch => batch.Id, after, Page.Limit(query, StandardPage, LargestPage), newestFirst: true);
        return JsonBody.WriteAsync(context, json => BatchJson.WriteList(json, page, BatchJson.Write));
    }
}
