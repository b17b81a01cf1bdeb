using System.Text.RegularExpressions;

namespace Lamina.TestSupport;

/// <summary>The product's metrics: as the sources create them, and as docs/metrics.md tells of them.</summary>
internal static partial class MetricNames
{
    /// <summary>Where metrics are created, with what an export puts before the names there.</summary>
    private static readonly Dictionary<string, string> s_sources = new()
    {
        ["src/Coordinator/Api/ApiMetrics.cs"] = "",
        ["src/Coordinator/Quotas/Metering.cs"] = "",
        ["src/Coordinator/Generations/GenerationMetrics.cs"] = "lamina_coordinator_",
        ["src/Cluster/ClusterMetrics.cs"] = "lamina_cluster_",
        ["src/Cluster/Processes/ProcessMetrics.cs"] = "lamina_process_",
        ["src/Node/Hosting/NodeMetrics.cs"] = "lamina_node_",
        ["src/Node/Pipeline/HeadMeasures.cs"] = "lamina_node_",
    };

    /// <summary>Fails where a file that is not known here creates metrics.</summary>
    public static IReadOnlySet<string> OfSources()
    {
        string[] creating = [.. Directory.EnumerateFiles(Repository.File("src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => Created().IsMatch(File.ReadAllText(file))).Select(file => Path.GetRelativePath(Repository.Root, file)).Order(StringComparer.Ordinal)];
        Assert.Equal(s_sources.Keys.Order(StringComparer.Ordinal), creating);
        return s_sources.SelectMany(source => Created().Matches(File.ReadAllText(Repository.File(source.Key))).Select(match => source.Value + match.Groups[1].Value)).ToHashSet();
    }

    /// <summary>Each documented metric with its kind; <paramref name="always"/> leaves out those that need an occasion.</summary>
    public static IReadOnlyDictionary<string, string> Documented(bool always = false)
    {
        Dictionary<string, string> found = [];
        string section = "";
        foreach (string line in File.ReadLines(Repository.File("docs/metrics.md")))
        {
            section = line.StartsWith("## ", StringComparison.Ordinal) ? line : section;
            if (Row().Match(line) is { Success: true } row && !(always && section.StartsWith("## Once", StringComparison.Ordinal)))
            {
                found.Add(row.Groups[1].Value, row.Groups[2].Value);
            }
        }

        return found;
    }

    /// <summary>Names and kinds that a process shows.</summary>
    public static IReadOnlyDictionary<string, string> Exported(string text) =>
        text.Split('\n').Select(line => line.Split(' ')).Where(words => words is ["#", "TYPE", _, _]).ToDictionary(words => words[2], words => words[3]);

    [GeneratedRegex("""Create(?:Observable)?(?:Counter|Gauge|Histogram|UpDownCounter)(?:<\w+>)?\(\s*"([a-z_]+)"(?=,|\))""")]
    private static partial Regex Created();

    [GeneratedRegex(@"^\| `(lamina_[a-z_]+)` \| (\w+) \|")]
    private static partial Regex Row();
}
