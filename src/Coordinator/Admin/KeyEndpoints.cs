using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// <c>/admin/keys</c>: list, create, rotate, revoke. A tenant's administrator handles that tenant's keys; an operator handles all, and makes operators' keys by naming no
/// tenant. <c>/admin/me</c> says whose key the caller holds.
/// </summary>
internal sealed class KeyEndpoints(AccessControl access)
{
    private const string List = "/admin/keys";
    private const string Item = "/admin/keys/{key}";
    private const int MaxScopes = 8;

    private static readonly TimeSpan s_defaultOverlap = TimeSpan.FromHours(24);

    private sealed record Creation(TenantId? Tenant, string Name, KeyScopes Scopes, TimeSpan? Lifetime);

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/admin/me", MeAsync);
        routes.MapGet(List, ListAsync);
        routes.MapPost(List, CreateAsync);
        routes.MapPost(Item + "/rotate", RotateAsync);
        routes.MapPost(Item + "/revoke", RevokeAsync);
    }

    private static Task MeAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("key", caller.Key);
            json.WriteString("tenant", caller.Tenant?.Value);
            json.WriteBoolean("operator", caller.IsOperator);
            json.WriteEndObject();
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        TenantId? tenant = AdminCaller.Of(context).Tenant ?? (context.Request.Query.TryGetValue("tenant", out var asked) ? new TenantId(asked.ToString()) : null);
        IReadOnlyList<ApiKey> keys = await access.Keys.ListAsync(tenant, context.RequestAborted);
        await JsonBody.WriteAsync(context, json => AdminJson.WriteList(json, keys, (writer, key) => AdminJson.Write(writer, key)));
    }

    private async Task CreateAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        Creation creation = await AdminRequest.ReadAsync(context, ReadCreation);
        TenantId? tenant = creation.Tenant ?? caller.Tenant;
        if (tenant is { } asked && !caller.MaySee(asked))
        {
            throw new AccessChangeException($"there is no tenant {asked}") { IsNotFound = true };
        }

        string kind = $"tenant={tenant?.Value ?? "none"} scopes={KeyScopeNames.Format(creation.Scopes)}";
        context.Items[Auditor.Subject] = kind;
        NewKey made = await access.Keys.CreateAsync(tenant, creation.Name, creation.Scopes, creation.Lifetime, context.RequestAborted);
        context.Items[Auditor.Subject] = $"key={made.Key.Id} {kind}";
        await WriteAsync(context, made, StatusCodes.Status201Created);
    }

    private async Task RotateAsync(HttpContext context)
    {
        TimeSpan overlap = await AdminRequest.ReadAsync(context, fields => fields.TakeSeconds("overlap_seconds")) ?? s_defaultOverlap;
        await WriteAsync(context, await access.Keys.RotateAsync(context.RouteText("key"), overlap, AdminCaller.Of(context).Tenant, context.RequestAborted));
    }

    private async Task RevokeAsync(HttpContext context)
    {
        ApiKey key = await access.Keys.RevokeAsync(context.RouteText("key"), AdminCaller.Of(context).Tenant, context.RequestAborted);
        byte[] body = JsonBody.Of(json => AdminJson.Write(json, key));
        await JsonBody.WriteAsync(context, body);
        await context.Response.CompleteAsync();

        // Last, because it may be the key of this very request.
        await access.NoticeAsync();
    }

    private static Creation ReadCreation(JsonFields fields) => new(
        fields.TakeString("tenant", Cluster.Messages.Names.MaxLength) is { } tenant ? new TenantId(tenant) : null,
        fields.TakeName("name"),
        ReadScopes(fields),
        fields.TakeSeconds("expires_in_seconds"));

    private static KeyScopes ReadScopes(JsonFields fields)
    {
        JsonElement list = fields.TakeRequired("scopes");
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > MaxScopes)
        {
            throw ApiError.InvalidType("scopes", "a list of scopes", JsonFields.Kind(list)).AsException();
        }

        try
        {
            return KeyScopeNames.Parse(list.EnumerateArray().Select((item, index) => JsonFields.Text(item, $"scopes[{index}]", AdminRequest.MaxScopeLength)));
        }
        catch (ArgumentException e)
        {
            throw ApiError.InvalidValue("scopes", e.Message).AsException();
        }
    }

    private async Task WriteAsync(HttpContext context, NewKey made, int status = StatusCodes.Status200OK)
    {
        await access.NoticeAsync();
        context.Response.Headers.CacheControl = "no-store";
        await JsonBody.WriteAsync(context, json => AdminJson.Write(json, made.Key, made.Text), status);
    }
}
