using System.Globalization;
using System.Text.Json;
using Lamina.Coordinator.Access;

namespace Lamina.Cli.Output;

/// <summary>Tenants and keys as lines for people or as one JSON object.</summary>
internal static class AccessTable
{
    private static readonly JsonSerializerOptions s_json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static void Write(TextWriter output, IReadOnlyList<ApiKey> keys, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(
                new
                {
                    keys = keys.Select(key => new
                    {
                        key.Id, Tenant = key.Tenant?.Value, key.Name, Scopes = KeyScopeNames.Format(key.Scopes).Split(','), key.Created, key.Expires, key.Revoked, key.OldSecretUntil, key.LastUsed,
                    }),
                },
                s_json));
            return;
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"id",-13} {"tenant",-20} {"name",-24} {"scopes",-22} {"state",-30} last used"));
        foreach (ApiKey key in keys)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{key.Id,-13} {key.Tenant?.Value ?? "(operator)",-20} {key.Name,-24} {KeyScopeNames.Format(key.Scopes),-22} {State(key),-30} {key.LastUsed?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) ?? "never"}"));
        }
    }

    public static void Write(TextWriter output, IReadOnlyList<Tenant> tenants, bool json)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { tenants = tenants.Select(tenant => new { Id = tenant.Id.Value, tenant.Created, tenant.Suspended }) }, s_json));
            return;
        }

        foreach (Tenant tenant in tenants)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{tenant.Id.Value,-20} {(tenant.Suspended is { } since ? $"suspended since {Time(since)}" : "active")}"));
        }
    }

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    private static string State(ApiKey key) =>
        key.Revoked is { } revoked ? $"revoked {Time(revoked)}"
        : key.Expires is { } expires ? $"until {Time(expires)}"
        : "until revoked";
}
