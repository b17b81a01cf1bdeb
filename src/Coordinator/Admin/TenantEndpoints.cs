using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary><c>/admin/tenants</c>: list and read; operators also add, suspend, resume and remove.</summary>
internal sealed class TenantEndpoints(AccessControl access)
{
    private const string List = "/admin/tenants";
    private const string Item = "/admin/tenants/{tenant}";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(List, ListAsync);
        routes.MapGet(Item, async context =>
        {
            TenantId id = context.RouteTenant();
            Tenant found = (await access.Tenants.ListAsync(context.RequestAborted)).FirstOrDefault(tenant => tenant.Id == id)
                ?? throw new AccessChangeException($"there is no tenant {id}") { IsNotFound = true };
            await WriteAsync(context, found);
        });
        routes.MapPost(List, AddAsync).ForOperators();
        routes.MapPost(Item + "/suspend", Change(access.Tenants.SuspendAsync)).ForOperators();
        routes.MapPost(Item + "/resume", Change(access.Tenants.ResumeAsync)).ForOperators();
        routes.MapDelete(Item, Change(access.Tenants.RemoveAsync)).ForOperators();
    }

    private async Task ListAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        IReadOnlyList<Tenant> tenants = await access.Tenants.ListAsync(context.RequestAborted);
        await JsonBody.WriteAsync(context, json => AdminJson.WriteList(json, tenants.Where(tenant => caller.MaySee(tenant.Id)), AdminJson.Write));
    }

    private async Task AddAsync(HttpContext context)
    {
        string id = await AdminRequest.ReadAsync(context, fields => fields.TakeName("id"));
        context.Items[Auditor.Subject] = $"tenant={id}";
        Tenant tenant = await access.Tenants.AddAsync(new TenantId(id), context.RequestAborted);
        await access.NoticeAsync();
        await WriteAsync(context, tenant, StatusCodes.Status201Created);
    }

    private RequestDelegate Change(Func<TenantId, CancellationToken, Task<Tenant>> change) => async context =>
    {
        Tenant tenant = await change(context.RouteTenant(), context.RequestAborted);
        await access.NoticeAsync();
        await WriteAsync(context, tenant);
    };

    private static Task WriteAsync(HttpContext context, Tenant tenant, int status = StatusCodes.Status200OK) =>
        JsonBody.WriteAsync(context, json => AdminJson.Write(json, tenant), status);
}
