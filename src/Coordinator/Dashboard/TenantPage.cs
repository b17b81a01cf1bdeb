using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Lamina.Coordinator.Dashboard;

/// <summary>
/// <c>/tenant</c> on the API's listener: what a tenant may see of its cell with a key of the scope usage. The page keeps the key in its own memory and sends it along with each request, so that
/// there is no cookie with which another page could act; it changes nothing. <c>/tenant/events</c> tells what runs, <c>/tenant/quotas</c> the rules in force.
/// </summary>
internal sealed class TenantPage(DashboardFeed feed, QuotaControl quotas)
{
    public const string Route = "/tenant";

    public void Map(IEndpointRouteBuilder routes)
    {
        PageAssets.Map(routes, "tenant.html", Route, "uPlot.min.css", "dashboard.css", "uPlot.iife.min.js", "tenant.js", "chart.js", "view.js", "usage.js");
        routes.MapGet(Route + "/events", EventsAsync).Require(KeyScopes.Usage);
        routes.MapGet(Route + "/quotas", QuotasAsync).Require(KeyScopes.Usage);
    }

    private Task EventsAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        var reader = new AdminCaller(caller.Tenant, Audit.Auditor.ActorOf(caller.Key));

        // The guard cuts the request off when its key ends. A coordinator that ends waits for its readers, but this one would never have all.
        IHostApplicationLifetime server = context.RequestServices.GetRequiredService<IHostApplicationLifetime>();
        return EventStream.WriteAsync(context, json => feed.Write(json, reader), () => !server.ApplicationStopping.IsCancellationRequested);
    }

    private Task QuotasAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        TenantQuotas rules = quotas.Desk.RulesOf(caller.Tenant);
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("tenant", caller.Tenant.Value);
            json.WriteString("key", caller.Key);
            json.WritePropertyName("ofTenant");
            json.WriteRawValue(JsonSerializer.SerializeToUtf8Bytes(rules.Tenant, QuotaStore.Json));
            json.WritePropertyName("ofKey");
            json.WriteRawValue(JsonSerializer.SerializeToUtf8Bytes(rules.Of(caller.Key), QuotaStore.Json));
            json.WriteEndObject();
        });
    }
}
