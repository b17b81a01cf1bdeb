using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api.Listening;
using Lamina.Coordinator.Api.Status;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Dashboard;

/// <summary>What the dashboard shows at one moment: the cells that its reader may see, the certificates they work with and what runs in them.</summary>
internal sealed class DashboardFeed(Func<IReadOnlyList<Cell>> cells, QuotaControl quotas, ServerCertificate? https, TimeProvider time)
{
    /// <summary>The oldest are shown: what runs long is what somebody looks for.</summary>
    private const int MostGenerations = 100;

    public void Write(Utf8JsonWriter json, AdminCaller caller)
    {
        Cell[] seen = [.. cells().Where(cell => caller.MaySee(cell.Tenant))];
        json.WriteStartObject();
        json.WriteNumber("at", time.GetUtcNow().ToUnixTimeMilliseconds());
        json.WriteStartArray("cells");
        foreach (Cell cell in seen)
        {
            json.WriteStartObject();
            json.WritePropertyName("status");
            StatusJson.Write(json, StatusView.Of(cell));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("certificates");
        if (https is not null)
        {
            WriteCertificate(json, null, "HTTPS", https.NotAfter);
        }

        foreach (Cell cell in seen)
        {
            WriteCertificate(json, cell.Tenant, "coordinator", cell.CertificateEnds);
            foreach (NodeView node in cell.Nodes.Where(node => node.CertificateEnds is not null))
            {
                WriteCertificate(json, cell.Tenant, node.Name.Value, node.CertificateEnds!.Value);
            }
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

    /// <param name="tenant">Null for what serves all of them.</param>
    private void WriteCertificate(Utf8JsonWriter json, TenantId? tenant, string whose, DateTimeOffset ends)
    {
        json.WriteStartObject();
        json.WriteString("tenant", tenant?.Value);
        json.WriteString("whose", whose);
        json.WriteString("ends", ends.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        json.WriteNumber("daysLeft", Math.Round((ends - time.GetUtcNow()).TotalDays, 1));
        json.WriteEndObject();
    }
}
