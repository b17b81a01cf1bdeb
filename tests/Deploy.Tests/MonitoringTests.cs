using System.Text.Json;
using System.Text.RegularExpressions;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>Alerts and dashboard ask for metrics that the product has.</summary>
public sealed partial class MonitoringTests
{
    [Fact]
    public void Metrics_OfAlertsAndDashboard_ExistInTheSources()
    {
        IReadOnlySet<string> known = MetricNames.OfSources();
        foreach (string file in (string[])["alerts.yaml", "dashboards/cell.json"])
        {
            string[] used = [.. Metric().Matches(File.ReadAllText(Path.Combine(Chart.Folder, file))).Select(match => match.Value.Replace("_bucket", "", StringComparison.Ordinal)).Distinct()];
            Assert.NotEmpty(used);
            Assert.All(used, name => Assert.Contains(name, known));
        }
    }

    /// <summary>Two tenants of one namespace, or of one coordinator, may call their models the same.</summary>
    [Fact]
    public void Models_OfAlertsAndDashboard_AreToldApartByTenant()
    {
        string[] groups = [.. new[] { "alerts.yaml", "dashboards/cell.json" }.SelectMany(file => Grouping().Matches(File.ReadAllText(Path.Combine(Chart.Folder, file)))).Select(match => match.Groups[1].Value)];
        string[][] ofModels = [.. groups.Select(group => group.Split(", ")).Where(labels => labels.Contains("model") || labels.Contains("deployment"))];
        Assert.InRange(ofModels.Length, 10, groups.Length);
        Assert.All(ofModels, labels => Assert.Contains("tenant", labels));
    }

    [Fact]
    public void Metrics_OfTheSources_AreThoseDocumented() => Assert.Equal(MetricNames.OfSources().Order(StringComparer.Ordinal), MetricNames.Documented().Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void Alerts_OfTheChart_AreThoseDocumented()
    {
        string[] alerts = [.. File.ReadLines(Path.Combine(Chart.Folder, "alerts.yaml")).Where(line => line.StartsWith("- alert: ", StringComparison.Ordinal)).Select(line => line[9..])];
        string[] documented = [.. File.ReadLines(Repository.File("docs/metrics.md")).Where(line => line.StartsWith("| `Lamina", StringComparison.Ordinal)).Select(line => line.Split('`')[1])];
        Assert.Equal(alerts, documented);
    }

    [Fact]
    public void Dashboard_AsWritten_IsJsonWithPanelsThatDoNotOverlap()
    {
        using JsonDocument dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Chart.Folder, "dashboards/cell.json")));
        HashSet<(int, int)> taken = [];
        foreach (JsonElement place in dashboard.RootElement.GetProperty("panels").EnumerateArray().Select(panel => panel.GetProperty("gridPos")))
        {
            int x = place.GetProperty("x").GetInt32(), y = place.GetProperty("y").GetInt32();
            Assert.True(x + place.GetProperty("w").GetInt32() <= 24);
            for (int column = x; column < x + place.GetProperty("w").GetInt32(); column++)
            {
                for (int row = y; row < y + place.GetProperty("h").GetInt32(); row++)
                {
                    Assert.True(taken.Add((column, row)));
                }
            }
        }
    }

    [Fact]
    public void Alerts_Each_HaveAHeadingInTheDocumentation()
    {
        Manifest rule = Chart.Render(Chart.Cases["monitoring"]).Single(manifest => manifest.Kind == "PrometheusRule");
        string[] headings = [.. File.ReadAllLines(Repository.File("docs/kubernetes.md")).Where(line => line.StartsWith("### ", StringComparison.Ordinal)).Select(line => line[4..])];
        List<AlertRule> alerts = ((Resource<PrometheusRuleSpec>)rule.Value).Spec.Groups.Single().Rules;
        Assert.NotEmpty(alerts);
        Assert.All(alerts, alert => Assert.Contains(alert.Alert, headings));
        Assert.All(alerts, alert => Assert.Equal($"https://wiki.example/lamina#{alert.Alert.ToLowerInvariant()}", alert.Annotations["runbook_url"]));
    }

    [GeneratedRegex(@"\bby \(([^)]+)\)")]
    private static partial Regex Grouping();

    [GeneratedRegex("lamina_[a-z_]+")]
    private static partial Regex Metric();
}
