using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>GET /.well-known/security.txt</c> (RFC 9116): where a vulnerability is reported. The same for everybody, so it asks for no key.</summary>
internal static class SecurityText
{
    public const string Route = "/.well-known/security.txt";

    public static void Map(IEndpointRouteBuilder routes, SecurityContactOptions contact, TimeProvider time) => routes.MapGet(Route, context =>
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(Write(contact, time.GetUtcNow()), context.RequestAborted);
    }).AllowEverybody();

    internal static string Write(SecurityContactOptions contact, DateTimeOffset now)
    {
        // RFC 9116 wants an end in the near future; whoever asks later gets a later one.
        string expires = now.AddDays(90).UtcDateTime.Date.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", System.Globalization.CultureInfo.InvariantCulture);
        return $"Contact: {contact.Contact}\nExpires: {expires}\n{(contact.Policy is { } policy ? $"Policy: {policy}\n" : "")}Preferred-Languages: en\n";
    }
}
