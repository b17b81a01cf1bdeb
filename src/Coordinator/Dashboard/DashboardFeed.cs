using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api.Status;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Dashboard;

/// <summary>What the dashboard shows at one moment: the cells that its reader may see, their certificates and what runs in them.</summary>
internal sealed class DashboardFeed(Func<IReadOnlyList<Cell>> cells, QuotaControl quotas, TimeProvider time)
{
    /// <summary>The oldest are shown: what runs long is what somebody looks for.</summary>
    private const int MostGenerations = 100;

    public void Write(Utf8JsonWriter json, AdminCaller caller)
    {
        json.WriteStartObject();
        json.WriteNumber("at", time.GetUtcNow().ToUnixTimeMilliseconds());
        json.WriteStartArray("cells");
        foreach (Cell cell in cells().Where(cell => caller.MaySee(cell.Tenant)))
        {
            json.WriteStartObject();
            json.WritePropertyName("status");
            StatusJson.Write(json, StatusView.Of(cell));
            json.WriteString("certificateEnds", cell.CertificateEnds.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
            json.WriteNumber("certificateDaysLeft", Math.Round((cell.CertificateEnds - time.GetUtcNow()).TotalDays, 1));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("generations");
        foreach (MeteredAnswer answer in quotas.Running.All.Where(answer => caller.MaySee(answer.Caller.Tenant)).OrderBy(answer => answer.Began).Take(MostGenerations))
        {
            json.WriteStartObject();
            json.WriteString("id", answer.Id.ToString("N"));
            json.WriteString("tenant", answer.Caller.Tenant.Value);
            json.WriteString("model", answer.Meter.Model);
            json.WriteString("key", answer.Caller.Key);
            json.WriteNumber("tokens", answer.Meter.Generated);
            json.WriteNumber("ageSeconds", Math.Round(Stopwatch.GetElapsedTime(answer.Began).TotalSeconds, 1));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
