using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>Reads the parts of admin requests.</summary>
internal static class AdminRequest
{
    /// <summary>Ten years.</summary>
    public const long MaxSeconds = 10L * 366 * 86400;

    public const int MaxScopeLength = 32;

    private const int MaxNameLength = 128;

    /// <summary>Reads a body of known fields; an absent one counts as empty.</summary>
    public static async Task<T> ReadAsync<T>(HttpContext context, Func<JsonFields, T> read)
    {
        ReadOnlyMemory<byte> body = context.Request.ContentLength is 0 or null && !context.Request.Headers.ContainsKey("Transfer-Encoding")
            ? "{}"u8.ToArray()
            : await RequestBody.ReadAsync(context.Request);
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        T result = read(fields);
        fields.RefuseOthers();
        return result;
    }

    public static string TakeName(this JsonFields fields, string name) => JsonFields.Text(fields.TakeRequired(name), name, MaxNameLength);

    public static TimeSpan? TakeSeconds(this JsonFields fields, string name) => fields.TakeInteger(name, 0, MaxSeconds) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    public static string RouteText(this HttpContext context, string name) => (string)context.GetRouteValue(name)!;

    /// <summary>The tenant of the address, if the caller may see it; otherwise the answer is that of a tenant that does not exist.</summary>
    public static TenantId RouteTenant(this HttpContext context)
    {
        var tenant = new TenantId(context.RouteText("tenant"));
        return AdminCaller.Of(context).MaySee(tenant) ? tenant : throw new Access.AccessChangeException($"there is no tenant {tenant}") { IsNotFound = true };
    }
}
