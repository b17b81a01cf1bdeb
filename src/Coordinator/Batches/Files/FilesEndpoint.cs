using System.Net.Mime;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Batches.Files;

/// <summary><c>/v1/files</c>: upload, list, retrieve, content, delete. A tenant's files are found by all of its keys and by no other's.</summary>
internal sealed class FilesEndpoint(BatchService batches)
{
    public const string ListRoute = "/v1/files";
    public const string ItemRoute = "/v1/files/{id}";
    public const string ContentRoute = "/v1/files/{id}/content";

    private const int LargestPage = 10_000;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(ListRoute, UploadAsync).Counted();
        routes.MapGet(ListRoute, ListAsync);
        routes.MapGet(ItemRoute, context => WriteAsync(context, Of(context).Files.Require(Id(context))));
        routes.MapGet(ContentRoute, ContentAsync);
        routes.MapDelete(ItemRoute, DeleteAsync);
    }

    private static Task WriteAsync(HttpContext context, StoredFile file) => JsonBody.WriteAsync(context, json => BatchJson.Write(json, file));

    private static string? Id(HttpContext context) => context.GetRouteValue("id") as string;

    private TenantBatches Of(HttpContext context) => batches.Of(Caller.Of(context));

    private async Task UploadAsync(HttpContext context)
    {
        TenantBatches tenant = Of(context);
        await WriteAsync(context, await FileForm.ReadAsync(context, tenant.Files, tenant.Options.MaxFileBytes));
    }

    private Task ListAsync(HttpContext context)
    {
        IQueryCollection query = context.Request.Query;
        Page.Require(query, "limit", "after", "order", "purpose");
        string order = query.TryGetValue("order", out var ordered) ? ordered.ToString() : "desc";
        if (order is not ("asc" or "desc"))
        {
            throw BatchErrors.Invalid("order", "'order' must be asc or desc");
        }

        string? purpose = query.TryGetValue("purpose", out var asked) ? asked.ToString() : null;
        string? after = query.TryGetValue("after", out var text) ? text.ToString() : null;
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        IEnumerable<StoredFile> files = Of(context).Files.All.Where(file => (purpose is null || file.Purpose == purpose) && file.ExpiresAt > now);
        Page<StoredFile> page = Page.Of(files, file => file.Id, after, Page.Limit(query, LargestPage, LargestPage), order == "desc");
        return JsonBody.WriteAsync(context, json => BatchJson.WriteList(json, page, BatchJson.Write));
    }

    private async Task ContentAsync(HttpContext context)
    {
        FileStore files = Of(context).Files;
        await using FileStream content = files.OpenContent(files.Require(Id(context)));
        context.Response.ContentType = MediaTypeNames.Application.Octet;
        context.Response.ContentLength = content.Length;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        await content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private Task DeleteAsync(HttpContext context)
    {
        string? id = Id(context);
        Of(context).DeleteFile(id);
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", id);
            json.WriteString("object", "file");
            json.WriteBoolean("deleted", true);
            json.WriteEndObject();
        });
    }
}
