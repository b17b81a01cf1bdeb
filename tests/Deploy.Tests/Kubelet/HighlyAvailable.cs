using System.Security.Cryptography;
using k8s.Models;
using Lamina.Deploy.Tests.Support;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>The chart as docs/kubernetes.md has it for cells that stay up: two coordinators before a PostgreSQL database, the API behind a Service, certificates by the chart's own Job; beside it a second tenant.</summary>
public sealed class HighlyAvailable : IAsyncLifetime
{
    private const string Gateway = "gateway", Rival = "rival";

    private readonly Dictionary<string, string> _keys = [];
    private string _authority = "";

    /// <summary>Values, with something that a later release may change.</summary>
    private static string Values(string note) => $$"""
        tenants:
          - name: acme
            models: [{ path: /app/models/lamina-tiny-q8_0.gguf, nodes: 2 }]
            pools: [{ name: cpu, replicas: 2 }]
          - name: rival
            models: [{ path: /app/models/lamina-tiny-q8_0.gguf }]
            pools: [{ name: cpu, replicas: 1 }]
        coordinator: { replicas: 2 }
        node: { threads: 1 }
        podAnnotations: { note: "{{note}}" }
        certificates: { mode: job, job: { apiServer: { to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }, podSelector: { matchLabels: { component: kube-apiserver } } }] } } }
        tests: { keySecret: test-keys }
        api: { expose: true, tlsSecret: https, from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: front } } }] }

        """ + PlayedDatabase.Values;

    internal PlayedCluster Cluster { get; private set; } = null!;

    public static string? Problem() => PlayedCluster.Problem() ?? PlayedDatabase.Problem();

    public async ValueTask InitializeAsync()
    {
        if (Problem() is not null)
        {
            return;
        }

        Cluster = PlayedCluster.Create();
        PlayedDatabase.Start(Cluster);
        Cluster.AddOutside(new Peer(Gateway, "front", new Dictionary<string, string> { ["app"] = "gateway" }), "gateway.front.svc.cluster.local");
        Cluster.AddOutside(new Peer("stranger", "elsewhere", new Dictionary<string, string> { ["app"] = "gateway" }), "stranger.elsewhere.svc.cluster.local");
        (_authority, string key) = ServerCertificate.Create(HostOf("acme"), HostOf(Rival));
        Cluster.Volumes.Set(new V1Secret
        {
            Metadata = new V1ObjectMeta { Name = "https", NamespaceProperty = "lamina" },
            StringData = new Dictionary<string, string> { ["tls.crt"] = _authority, ["tls.key"] = key, ["ca.crt"] = _authority },
        });
        Release release = Release.Render(Values("first"));
        await Cluster.StartApiServerAsync();
        await Cluster.ApplyAsync(release.Manifests);
        foreach (string tenant in new[] { "acme", Rival })
        {
            _keys[tenant] = await release.MakeKeyAsync(Cluster, tenant);
        }

        Cluster.Volumes.Set(new V1Secret { Metadata = new V1ObjectMeta { Name = "test-keys", NamespaceProperty = "lamina" }, StringData = _keys });
    }

    public async ValueTask DisposeAsync()
    {
        if (Cluster is not null)
        {
            await Cluster.DisposeAsync();
        }
    }

    /// <summary>Everything is replaced: the pods carry another annotation.</summary>
    internal Task UpgradeAsync() => Cluster.ApplyAsync(Release.Render(Values(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)))).Manifests);

    /// <summary>A caller of a tenant's API, through its Service, with a key.</summary>
    /// <param name="keyOf">Whose key it shows.</param>
    internal HttpClient Caller(string tenant, string? keyOf = null, bool keepAlive = false, string from = Gateway, bool slow = false)
    {
        HttpClient http = NamespaceSocket.CreateClient(Cluster.Machines.Namespace(from), Cluster.AddressOfService($"lamina-{tenant}-api"), 443, HostOf(tenant), _authority, keepAlive, slow);
        http.DefaultRequestHeaders.Authorization = new("Bearer", _keys[keyOf ?? tenant]);
        return http;
    }

    /// <summary>A caller who is led to one coordinator, by a machine that does not know yet that it ends.</summary>
    internal HttpClient CallerOf(Pod coordinator)
    {
        string tenant = coordinator.Peer.Labels["lamina.dev/tenant"];
        HttpClient http = NamespaceSocket.CreateClient(Cluster.Machines.Namespace(Gateway), coordinator.Address, 8080, HostOf(tenant), _authority, keepAlive: false);
        http.DefaultRequestHeaders.Authorization = new("Bearer", _keys[tenant]);
        return http;
    }

    private static string HostOf(string tenant) => $"lamina-{tenant}-api.lamina.svc.cluster.local";
}
