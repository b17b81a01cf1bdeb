using System.Text.Json;
using System.Text.RegularExpressions;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;
using YamlDotNet.Serialization;

namespace Lamina.Deploy.Tests;

/// <summary>The chart as Helm sees it, and what is generated from it.</summary>
public sealed partial class ChartTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;

    [Fact]
    public void Chart_Linted_HasNothingToComplainAbout() => DeployTools.RunSuccessfully(DeployTools.Helm, "lint", "--strict", Chart.Folder);

    [Fact]
    public void Chart_Packaged_IsOneArchive()
    {
        DeployTools.RunSuccessfully(DeployTools.Helm, "package", Chart.Folder, "--destination", _folder);
        Assert.Equal("lamina-0.1.0.tgz", Path.GetFileName(Assert.Single(Directory.GetFiles(_folder))));
    }

    [Theory]
    [InlineData("tenants: []", "tenants")]
    [InlineData("surprise: true", "surprise")]
    [InlineData("tenants: [{ name: Acme, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "name")]
    [InlineData("tenants: [{ name: acme, models: [], pools: [] }]", "pools")]
    [InlineData("tenants: [{ name: acme, models: [], pools: [{ name: coordinator, replicas: 1 }] }]", "name")]
    [InlineData("tenants: [{ name: acme, models: [], pools: [{ name: a-b, replicas: 1 }] }]", "name")]
    [InlineData("tenants: [{ name: acme, models: [], pools: [{ name: cpu, replicas: 1, resources: { requests: { cpu: 1, memory: 1Gi } } }] }]", "limits")]
    [InlineData("runAsUser: 0", "runAsUser")]
    [InlineData("podLabels: { lamina.dev/tenant: other }", "lamina.dev/tenant")]
    [InlineData("image: { digest: latest }", "digest")]
    [InlineData("certificates: { mode: none }", "mode")]
    [InlineData("certificates: { mode: job, job: { schedule: hourly } }", "schedule")]
    [InlineData("certificates: { mode: job, job: { apiServer: { ports: [] } } }", "ports")]
    [InlineData("tenants: [{ name: acme, models: [], pools: [{ name: pki, replicas: 1 }] }]", "name")]
    [InlineData("ports: { control: 80 }", "control")]
    [InlineData("ports: { control: 9090 }", "must differ")]
    [InlineData("ports: { admin: 8080 }", "must differ")]
    [InlineData("api: { expose: true }", "api.tlsSecret")]
    [InlineData("api: { expose: true, tlsSecret: https }", "api.from")]
    [InlineData("api: { from: [{}] }", "from")]
    [InlineData("coordinator: { replicas: 2 }", "coordinator.replicas above 1 needs database.secret")]
    [InlineData("coordinator: { replicas: 0 }", "replicas")]
    [InlineData("coordinator: { lingerSeconds: 30, terminationGracePeriodSeconds: 40 }", "lingerSeconds and 20 more")]
    [InlineData("database: { host: pg }", "database.host needs database.secret")]
    [InlineData("database: { secret: db }", "database.host and database.user")]
    [InlineData("database: { secret: db, host: pg, user: lamina }", "database.to")]
    [InlineData("database: { secret: db, host: \"pg;Password=x\", user: lamina, to: [{ podSelector: {} }] }", "host")]
    [InlineData("database: { password: x }", "password")]
    [InlineData("tests: { keySecret: keys }", "tests.keySecret needs api.expose")]
    [InlineData("api: { ingress: { enabled: true, tlsSecret: front } }", "api.expose")]
    [InlineData("api: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], ingress: { enabled: true } }", "api.ingress.tlsSecret")]
    [InlineData("api: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], ingress: { enabled: true, tlsSecret: front } }", "tenants[].host")]
    [InlineData("api: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], gateway: { enabled: true } }", "api.gateway.parentRefs")]
    [InlineData("tenants: [{ name: a, host: a.example, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "host of tenant a needs")]
    [InlineData("tenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 2, maxReplicas: 2 }] }]", "must be above its replicas")]
    [InlineData("tenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 2, waitingPerNode: 2 }] }]", "needs maxReplicas")]
    [InlineData("tenants: [{ name: a, models: [], modelPolicy: { signingKeys: [secret] }, pools: [{ name: cpu, replicas: 2 }] }]", "signingKeys")]
    [InlineData("tenants: [{ name: a, models: [], modelPolicy: { leastTrust: Some }, pools: [{ name: cpu, replicas: 2 }] }]", "leastTrust")]
    [InlineData("tenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1, gpu: 2 }] }]", "gpu")]
    [InlineData("tenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1 }] }, { name: a, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "the name a occurs twice")]
    [InlineData("tenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1 }, { name: cpu, replicas: 1 }] }]", "two pools named cpu")]
    [InlineData("tenants: [{ name: a, models: [{ path: /app/m.gguf, nodes: 3 }], pools: [{ name: cpu, replicas: 2 }] }]", "waits for 3 nodes, its pools have 2")]
    [InlineData("tenants: [{ name: a, models: [{ path: /models/m.gguf }], pools: [{ name: cpu, replicas: 2 }] }]", "modelsClaim")]
    [InlineData("monitoring: { serviceMonitor: { enabled: true } }", "monitoring.namespace")]
    [InlineData("coordinator: { shared: yes please }", "shared")]
    [InlineData("coordinator: { shared: true }\nnamespacePerTenant: true\ncertificates: { mode: job }", "coordinator.shared with namespacePerTenant needs certificates.mode secrets")]
    [InlineData("coordinator: { shared: true }\nnamespacePerTenant: true\ncertificates: { mode: certManager }", "coordinator.shared with namespacePerTenant needs certificates.mode secrets")]
    [InlineData("coordinator: { shared: true }\ntenants: [{ name: coordinator, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "no tenant may be named coordinator")]
    [InlineData("tenants: [{ name: a, models: [], ports: { control: 7080, link: 7081 }, pools: [{ name: cpu, replicas: 1 }] }]", "ports of tenant a need coordinator.shared")]
    [InlineData("tenants: [{ name: a, models: [], ports: { control: 7080 }, pools: [{ name: cpu, replicas: 1 }] }]", "link")]
    [InlineData("coordinator: { shared: true }\ntenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1 }] }, { name: b, models: [], ports: { control: 7080, link: 7071 }, pools: [{ name: cpu, replicas: 1 }] }]", "two of the coordinator's ports are 7071")]
    [InlineData("coordinator: { shared: true }\nports: { control: 8078, link: 8079 }\ntenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1 }] }, { name: b, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "two of the coordinator's ports are 8080")]
    [InlineData("coordinator: { shared: true }\nports: { control: 65534, link: 65535 }\ntenants: [{ name: a, models: [], pools: [{ name: cpu, replicas: 1 }] }, { name: b, models: [], pools: [{ name: cpu, replicas: 1 }] }]", "a tenant's port would be 65536")]
    [InlineData("coordinator: { shared: true }\napi: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], ingress: { enabled: true, tlsSecret: front } }", "no tenant has one")]
    public void Values_ThatCannotWork_AreRefusedByName(string values, string named)
    {
        (int code, _, string error) = Chart.TryRender(values);
        Assert.NotEqual(0, code);
        Assert.Contains(named, error, StringComparison.Ordinal);
    }

    [Fact]
    public void RenderedFolder_AgainstTheChart_IsEqual()
    {
        DeployTools.RunSuccessfully(Repository.File("deploy/render"), DeployTools.Helm, _folder);
        string committed = Repository.File("deploy/k8s");
        Assert.Equal(Names(_folder), Names(committed));
        Assert.All(Names(_folder), name => Assert.Equal(File.ReadAllText(Path.Combine(_folder, name)), File.ReadAllText(Path.Combine(committed, name))));
        Assert.Equal(Names(committed).Count - 1, Manifest.ReadAll(DeployTools.RunSuccessfully(DeployTools.Kubectl, "kustomize", committed)).Count);
    }

    /// <summary>The cases whose rendering is checked against the rules set every documented value to something else than its default.</summary>
    [Fact]
    public void Values_EachOfThem_IsAnotherThanTheDefaultInSomeCase()
    {
        IDeserializer yaml = new DeserializerBuilder().Build();
        Dictionary<string, string> defaults = Flatten(yaml.Deserialize<object?>(File.ReadAllText(Path.Combine(Chart.Folder, "values.yaml"))), "").ToDictionary(pair => pair.Path, pair => pair.Value);
        ILookup<string, string> set = Chart.Cases.Values.SelectMany(values => Flatten(yaml.Deserialize<object?>(values), "")).ToLookup(pair => pair.Path, pair => pair.Value);
        string[] names = [.. File.ReadAllLines(Path.Combine(Chart.Folder, "values.yaml")).Select(line => Parameter().Match(line)).Where(match => match.Success).Select(match => match.Groups[1].Value)];
        Assert.True(names.Length > 60, $"{names.Length} values found");
        Assert.All(names, name => Assert.Contains(set[name], value => value != defaults[name]));
    }

    [Fact]
    public void Values_EachWithItsSentence_StandInTheReadme()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Chart.Folder, "values.yaml"));
        string[] rows = File.ReadAllLines(Path.Combine(Chart.Folder, "README.md"));
        Dictionary<string, string> sentences = lines.Select(line => Parameter().Match(line)).Where(match => match.Success).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
        Assert.All(sentences, entry => Assert.EndsWith(".", entry.Value, StringComparison.Ordinal));
        Assert.Equal(sentences.Keys.Order(StringComparer.Ordinal), rows.Select(row => Row().Match(row)).Where(match => match.Success).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal));
        Assert.All(sentences, entry => Assert.Contains(rows, row => Row().Match(row) is { Success: true } match && match.Groups[1].Value == entry.Key && match.Groups[2].Value.Trim() == entry.Value));

        // Each key of values.yaml stands below a sentence of its own, or holds keys that do.
        HashSet<string> described = [.. sentences.Keys];
        List<(int Indent, string Name)> path = [];
        string? open = null;
        foreach (string line in lines)
        {
            Match key = Key().Match(line);
            if (!key.Success)
            {
                continue;
            }

            int indent = key.Groups[1].Length;
            path.RemoveAll(part => part.Indent >= indent);
            path.Add((indent, key.Groups[2].Value));
            string full = string.Join('.', path.Select(part => part.Name));
            if (open is not null && full.StartsWith(open + ".", StringComparison.Ordinal))
            {
                continue;
            }

            open = described.Contains(full) ? full : null;
            Assert.True(open is not null || described.Any(name => name.StartsWith(full + ".", StringComparison.Ordinal)), $"{full} has no sentence");
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Each mapping, sequence and value with the path of keys that leads to it.</summary>
    private static IEnumerable<(string Path, string Value)> Flatten(object? value, string path) => (value is IDictionary<object, object?> map
        ? map.SelectMany(pair => Flatten(pair.Value, path.Length == 0 ? (string)pair.Key : $"{path}.{pair.Key}"))
        : []).Prepend((path, JsonSerializer.Serialize(value)));

    private static List<string> Names(string folder) => [.. Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^\s*## @param (\S+) (?:\[\w+\] )?(.+)$")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"^\| `([^`]+)`\s*\| (.+?)\s*\|")]
    private static partial Regex Row();

    [GeneratedRegex(@"^( *)([A-Za-z]+):")]
    private static partial Regex Key();
}
