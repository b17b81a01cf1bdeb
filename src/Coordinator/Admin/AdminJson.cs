using System.Globalization;
using System.Text.Json;
using Lamina.Coordinator.Access;

namespace Lamina.Coordinator.Admin;

/// <summary>Tenants and keys as JSON; times are ISO 8601 in UTC.</summary>
internal static class AdminJson
{
    public static void Write(Utf8JsonWriter json, Tenant tenant)
    {
        json.WriteStartObject();
        json.WriteString("id", tenant.Id.Value);
        WriteTime(json, "created", tenant.Created);
        WriteTime(json, "suspended", tenant.Suspended);
        json.WriteEndObject();
    }

    /// <param name="text">The key itself, at the one moment in which it is shown.</param>
    public static void Write(Utf8JsonWriter json, ApiKey key, string? text = null)
    {
        json.WriteStartObject();
        json.WriteString("id", key.Id);
        json.WriteString("tenant", key.Tenant?.Value);
        json.WriteString("name", key.Name);
        json.WriteStartArray("scopes");
        foreach (string scope in KeyScopeNames.Format(key.Scopes).Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            json.WriteStringValue(scope);
        }

        json.WriteEndArray();
        WriteTime(json, "created", key.Created);
        WriteTime(json, "expires", key.Expires);
        WriteTime(json, "revoked", key.Revoked);
        WriteTime(json, "old_secret_until", key.OldSecretUntil);
        json.WriteString("last_used", key.LastUsed?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        if (text is not null)
        {
            json.WriteString("key", text);
        }

        json.WriteEndObject();
    }

    public static void WriteList<T>(Utf8JsonWriter json, IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        json.WriteStartObject();
        json.WriteStartArray("data");
        foreach (T item in items)
        {
            write(json, item);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, DateTimeOffset? time) =>
        json.WriteString(name, time?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
}
