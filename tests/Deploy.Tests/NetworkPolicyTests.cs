using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests;

/// <summary>The network policies as a matrix: every pod to every pod, on every port that anything in the picture listens on.</summary>
public sealed class NetworkPolicyTests
{
    private const int Api = 8080, Control = 7070, Link = 7071, Health = 9090, Dns = 53, Https = 443;

    private static readonly Peer s_dns = new("dns", "kube-system", new Dictionary<string, string> { ["k8s-app"] = "kube-dns" });
    private static readonly Peer s_prometheus = new("prometheus", "monitoring", new Dictionary<string, string> { ["app.kubernetes.io/name"] = "prometheus" });

    private static readonly Peer[] s_strangers =
    [
        new("stranger in the release's namespace", "lamina", new Dictionary<string, string> { ["app"] = "other" }),
        new("stranger in a tenant's namespace", "lamina-acme", new Dictionary<string, string> { ["app"] = "other" }),
        new("impostor with a node's labels elsewhere", "elsewhere", new Dictionary<string, string>
        {
            ["app.kubernetes.io/name"] = "lamina", ["app.kubernetes.io/instance"] = "lamina", ["app.kubernetes.io/component"] = "node", ["lamina.dev/tenant"] = "acme",
        }),
        new("Prometheus' labels elsewhere", "elsewhere", new Dictionary<string, string> { ["app.kubernetes.io/name"] = "prometheus" }),
        new("another pod beside Prometheus", "monitoring", new Dictionary<string, string> { ["app"] = "grafana" }),
        new("another pod beside the DNS", "kube-system", new Dictionary<string, string> { ["app"] = "proxy" }),
    ];

    [Trait("Attack", "I3")]
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Policies_OfTwoTenants_LetThroughExactlyTheCellsOwnFlows(bool namespacePerTenant, bool monitored)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.TwoTenants + $"namespacePerTenant: {(namespacePerTenant ? "true" : "false")}\nmonitoring: {{ namespace: {(monitored ? "monitoring" : "\"\"")} }}\n");
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer[] own = [.. manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        Assert.Equal(7, own.Length); // two coordinators, three pools, two tests
        Peer[] all = [.. own, s_dns, s_prometheus, .. s_strangers];
        int allowed = 0;
        foreach (Peer from in all)
        {
            foreach (Peer to in all.Where(to => own.Contains(from) || own.Contains(to)))
            {
                foreach ((int port, string protocol) in new[] { (Api, "TCP"), (Control, "TCP"), (Link, "TCP"), (Health, "TCP"), (Dns, "UDP"), (Dns, "TCP"), (Https, "TCP"), (Control, "UDP") })
                {
                    bool expected = IsNeeded(from, to, port, protocol, monitored);
                    Assert.True(expected == matrix.Allows(from, to, port, protocol), $"{from.Name} to {to.Name} on {protocol} {port}: expected {(expected ? "allowed" : "dropped")}");
                    allowed += expected ? 1 : 0;
                }
            }
        }

        // acme has 3 parts (9 pairs), rival-labs 2 (4 pairs), each on two ports; 7 pods ask the DNS by UDP and TCP; each test asks its coordinator; Prometheus reads 5 parts.
        Assert.Equal((9 * 2) + (4 * 2) + (7 * 2) + 2 + (monitored ? 5 : 0), allowed);
    }

    /// <summary>One coordinator holds both cells: acme's at 7070 and 7071, rival-labs' at 7072 and 7073; nodes are at 7070 and 7071 of their own addresses.</summary>
    [Trait("Attack", "I3")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Policies_OfASharedCoordinator_LetEachTenantReachItsOwnCellThereAlone(bool namespacePerTenant)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.TwoTenants + $"coordinator: {{ shared: true }}\nnamespacePerTenant: {(namespacePerTenant ? "true" : "false")}\nmonitoring: {{ namespace: monitoring }}\n");
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer[] own = [.. manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        Assert.Equal(6, own.Length); // a coordinator, three pools, two tests
        Peer front = own.Single(peer => Role(peer) == "coordinator");
        Assert.All(own, peer => Assert.Equal(namespacePerTenant && Role(peer) == "node" ? $"lamina-{peer.Labels["lamina.dev/tenant"]}" : "lamina", peer.Namespace));

        // With namespaces of their own, labels alone make nobody a coordinator or a node.
        Peer[] impostors = namespacePerTenant ? [new Peer("coordinator's labels in a tenant's namespace", "lamina-acme", front.Labels), new Peer("a node's labels beside the coordinator", "lamina", own.First(peer => Role(peer) == "node").Labels)] : [];
        Peer[] all = [.. own, s_dns, s_prometheus, .. s_strangers, .. impostors];
        int allowed = 0;
        foreach ((Peer from, Peer to) in all.SelectMany(from => all.Where(to => own.Contains(from) || own.Contains(to)).Select(to => (from, to))))
        {
            string? fromRole = impostors.Contains(from) ? null : Role(from), toRole = impostors.Contains(to) ? null : Role(to);
            foreach ((int port, string protocol) in new[] { (Api, "TCP"), (7070, "TCP"), (7071, "TCP"), (7072, "TCP"), (7073, "TCP"), (8081, "TCP"), (Health, "TCP"), (Dns, "UDP"), (Dns, "TCP"), (Https, "TCP"), (7072, "UDP") })
            {
                bool expected = to == s_dns ? fromRole is not null && port == Dns
                    : protocol == "TCP" && (fromRole, toRole) switch
                    {
                        ("node", "node") => from.Labels["lamina.dev/tenant"] == to.Labels["lamina.dev/tenant"] && port is 7070 or 7071,
                        ("node", "coordinator") => from.Labels["lamina.dev/tenant"] == "acme" ? port is 7070 or 7071 : port is 7072 or 7073,
                        ("coordinator", "node") => port is 7070 or 7071,
                        ("coordinator", "coordinator") => port is >= 7070 and <= 7073,
                        ("test", "coordinator") => port == Health,
                        (_, "coordinator" or "node") => from == s_prometheus && port == Health,
                        _ => false,
                    };
                Assert.True(expected == matrix.Allows(from, to, port, protocol), $"{from.Name} to {to.Name} on {protocol} {port}: expected {(expected ? "allowed" : "dropped")}");
                allowed += expected ? 1 : 0;
            }
        }

        // Among nodes acme has 2 pools (4 pairs), rival-labs 1, each on two ports; 3 pools and the coordinator both ways, two ports; coordinators among themselves four;
        // 6 pods ask the DNS by UDP and TCP; each test asks the coordinator; Prometheus reads 4 parts.
        Assert.Equal((4 * 2) + (1 * 2) + (3 * 2 * 2) + 4 + (6 * 2) + 2 + 4, allowed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Policies_OfAnExposedApi_LetItsCallersReachThatPortOfCoordinatorsAlone(bool shared)
    {
        const string Exposed = "namespacePerTenant: true\napi: { expose: true, tlsSecret: https, from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: front } }, podSelector: { matchLabels: { app: gateway } } }] }\n";
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.TwoTenants + Exposed + $"coordinator: {{ shared: {(shared ? "true" : "false")} }}\n");
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer gateway = new("gateway", "front", new Dictionary<string, string> { ["app"] = "gateway" });
        Peer beside = new("another pod beside it", "front", new Dictionary<string, string> { ["app"] = "other" });
        Peer elsewhere = new("its labels elsewhere", "elsewhere", new Dictionary<string, string> { ["app"] = "gateway" });
        Peer[] own = [.. manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        foreach (Peer to in own)
        {
            foreach (int port in new[] { Api, Control, Link, Health, 8081 })
            {
                Assert.Equal(port == Api && to.Name.EndsWith("-coordinator", StringComparison.Ordinal), matrix.Allows(gateway, to, port, "TCP"));
                Assert.False(matrix.Allows(beside, to, port, "TCP"));
                Assert.False(matrix.Allows(elsewhere, to, port, "TCP"));
                Assert.False(matrix.Allows(to, gateway, port, "TCP"));
            }
        }
    }

    [Theory]
    [InlineData("highly available")]
    [InlineData("shared coordinators, highly available, a namespace each")]
    public void Policies_OfATestWithAKey_LetItReachItsOwnTenantsApiAlone(string name)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.Cases[name]);
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer[] own = [.. manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        foreach ((Peer from, Peer to) in own.Where(peer => Role(peer) == "test").SelectMany(from => own.Where(to => to != from).Select(to => (from, to))))
        {
            bool mine = Role(to) == "coordinator" && (!to.Labels.TryGetValue("lamina.dev/tenant", out string? tenant) || from.Labels["lamina.dev/tenant"] == tenant);
            Assert.Equal(mine, matrix.Allows(from, to, Api, "TCP"));
            Assert.Equal(mine, matrix.Allows(from, to, Health, "TCP"));
            Assert.False(matrix.Allows(from, to, Control, "TCP"));
        }
    }

    [Theory]
    [InlineData("highly available")]
    [InlineData("shared coordinators, highly available, a namespace each")]
    public void Policies_WithADatabase_LetCoordinatorsReachItAndNobodyElse(string name)
    {
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.Cases[name]);
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer database = new("database", "data", new Dictionary<string, string>()), elsewhere = new("a pod elsewhere", "elsewhere", new Dictionary<string, string>());
        foreach (Peer from in manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels)))
        {
            Assert.Equal(Role(from) == "coordinator", matrix.Allows(from, database, 5432, "TCP"));
            Assert.False(matrix.Allows(from, database, Https, "TCP"));
            Assert.False(matrix.Allows(from, elsewhere, 5432, "TCP"));
            Assert.False(matrix.Allows(database, from, Control, "TCP"));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Policies_OfTheBuiltInPki_LetItReachTheApiServerAndNobodyReachIt(bool namespacePerTenant)
    {
        const string To = "certificates: { mode: job, job: { apiServer: { to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }, podSelector: { matchLabels: { component: kube-apiserver } } }] } } }\n";
        Peer server = new("API server", "kube-system", new Dictionary<string, string> { ["component"] = "kube-apiserver" });
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.TwoTenants + To + $"namespacePerTenant: {(namespacePerTenant ? "true" : "false")}\n");
        Peer[] own = [.. manifests.Where(manifest => manifest.PodTemplate is not null).Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        Assert.Equal(4, own.Count(peer => Role(peer) == "pki")); // of each tenant a Job and a CronJob

        // With all policies, and with the hook's alone, as at the first installation.
        foreach (bool hooksAlone in new[] { false, true })
        {
            if (hooksAlone && namespacePerTenant)
            {
                continue;
            }

            PolicyMatrix matrix = new(manifests.Where(manifest => !hooksAlone || manifest.Annotation("helm.sh/hook") is not null).Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
            foreach (Peer keeper in own.Where(peer => Role(peer) == "pki"))
            {
                Assert.True(matrix.Allows(keeper, server, 6443, "TCP"));
                foreach (Peer other in own.Append(s_dns).Append(s_prometheus).Concat(s_strangers).Where(other => other != keeper))
                {
                    Assert.All(new[] { Api, Control, Link, Health, Dns, Https, 6443 }, port => Assert.False(matrix.Allows(keeper, other, port, "TCP") || matrix.Allows(other, keeper, port, "TCP"), $"{keeper.Name} and {other.Name} on {port}"));
                }
            }

            Assert.All(own.Where(peer => Role(peer) != "pki" && !hooksAlone), peer => Assert.False(matrix.Allows(peer, server, 6443, "TCP")));
        }
    }

    /// <summary>The flows that the product has, said without the policies' words.</summary>
    private static bool IsNeeded(Peer from, Peer to, int port, string protocol, bool monitored)
    {
        string? fromRole = Role(from), toRole = Role(to);
        bool sameCell = fromRole is not null && toRole is not null && from.Labels["lamina.dev/tenant"] == to.Labels["lamina.dev/tenant"];
        return to == s_dns ? fromRole is not null && port == Dns
            : protocol == "TCP" && port switch
            {
                Control or Link => sameCell && fromRole != "test" && toRole != "test",
                Health => (sameCell && fromRole == "test" && toRole == "coordinator") || (monitored && from == s_prometheus && (toRole is "coordinator" or "node")),
                _ => false,
            };
    }

    private static string? Role(Peer peer) => s_strangers.Contains(peer) ? null : peer.Labels.TryGetValue("app.kubernetes.io/component", out string? role) ? role : null;
}
