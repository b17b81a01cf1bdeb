using Lamina.Coordinator.Api.Resumption;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary>
/// <c>GET /v1/generations/{id}/events</c> goes on with a streamed answer after <c>?after=N</c> or <c>Last-Event-ID</c>; <c>DELETE /v1/generations/{id}</c> ends it and
/// forgets it. Both only for the caller that started it, with an <c>Idempotency-Key</c>.
/// </summary>
internal sealed class GenerationsEndpoint(Responder responder)
{
    public const string EventsRoute = "/v1/generations/{id}/events";
    public const string ItemRoute = "/v1/generations/{id}";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(EventsRoute, context => responder.ResumeAsync(context, Id(context)));
        routes.MapDelete(ItemRoute, async context =>
        {
            await responder.CancelAsync(context, Id(context));
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        });
    }

    private static string Id(HttpContext context) => (string)context.GetRouteValue("id")!;
}
