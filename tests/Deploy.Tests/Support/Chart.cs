using Lamina.TestSupport;

namespace Lamina.Deploy.Tests.Support;

/// <summary>The chart, rendered with the values of a case.</summary>
internal static class Chart
{
    public const string TwoTenants = """
        tenants:
          - name: acme
            models: [{ path: /models/llama.gguf, name: llama, nodes: 3, stages: "0-7,8-15,16-31", contextLength: 4096, threads: 4 }]
            modelsClaim: acme-models
            pools:
              - { name: cpu, replicas: 2 }
              - name: big
                replicas: 1
                threads: 8
                memoryBytes: 34359738368
                cacheSize: 200Gi
                resources: { requests: { cpu: "8", memory: 48Gi }, limits: { cpu: "8", memory: 48Gi } }
                nodeSelector: { lamina.example/kind: big }
                tolerations: [{ key: dedicated, operator: Equal, value: lamina, effect: NoSchedule }]
          - name: rival-labs
            models: []
            pools: [{ name: cpu, replicas: 2 }]

        """;

    public const string Scaled = """
        tenants:
          - name: acme
            models:
              - { path: /app/models/lamina-tiny-q8_0.gguf, nodes: 2, pipelines: 3, spares: 1, draftTokens: 4, kvCacheType: q8_0, sha256: "0000000000000000000000000000000000000000000000000000000000000000" }
            modelPolicy:
              leastTrust: Trusted
              maxBytes: 100000000000
              sandbox: true
              signingKeys:
                - |
                  -----BEGIN PUBLIC KEY-----
                  AAAA
                  -----END PUBLIC KEY-----
            pools:
              - { name: cpu, replicas: 2, maxReplicas: 6, waitingPerNode: 8 }
              - { name: gpu, replicas: 1, gpu: true, runtimeClassName: nvidia, tolerations: [{ key: nvidia.com/gpu, operator: Exists, effect: NoSchedule }] }

        """;

    private const string Routed = """
        tenants:
          - { name: acme, host: acme.example, models: [], pools: [{ name: cpu, replicas: 1 }] }
          - { name: rival-labs, host: rival.example, models: [], pools: [{ name: cpu, replicas: 1 }] }

        """;

    public const string HighlyAvailable = """
        coordinator: { replicas: 2, lingerSeconds: 8, terminationGracePeriodSeconds: 300 }
        database: { secret: database, host: pg.data.svc.cluster.local, user: lamina, to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: data } } }] }
        api: { expose: true, tlsSecret: https, from: [{ podSelector: { matchLabels: { app: gateway } } }] }

        """;

    /// <summary>The two tenants in one coordinator, or a pair of them; the second has ports of its own.</summary>
    private const string Shared = "coordinator: { shared: true }\n";

    private static readonly string s_sharedHighlyAvailable = TwoTenants.Replace("- name: rival-labs", "- name: rival-labs\n    ports: { control: 7170, link: 7171 }", StringComparison.Ordinal)
        + HighlyAvailable.Replace("coordinator: {", "coordinator: { shared: true,", StringComparison.Ordinal);

    /// <summary>Values of each case: every toggle both ways.</summary>
    public static IReadOnlyDictionary<string, string> Cases { get; } = new Dictionary<string, string>
    {
        ["minimal"] = "",
        ["two tenants"] = TwoTenants,
        ["two tenants, a namespace each"] = TwoTenants + "namespacePerTenant: true\n",
        ["cert-manager"] = "certificates: { mode: certManager }\n",
        ["cert-manager, a namespace each"] = TwoTenants + "namespacePerTenant: true\ncertificates: { mode: certManager, duration: 12h, renewBefore: 4h }\ninstallation: eu.lamina\nclusterDomain: k8s.example\n",
        ["built-in PKI"] = TwoTenants + "certificates: { mode: job }\n",
        ["built-in PKI, a namespace each"] = TwoTenants + "namespacePerTenant: true\nnetworkPolicies: { enabled: false }\ninstallation: eu.lamina\ncertificates: { mode: job, duration: 12h, renewBefore: 4h, rootDuration: 8760h, job: { schedule: \"*/10 * * * *\" } }\n",
        ["built-in PKI, pools that scale"] = Scaled + "certificates: { mode: job, job: { apiServer: { to: [{ ipBlock: { cidr: 10.0.0.1/32 } }], ports: [6443] } } }\n",
        ["monitoring"] = TwoTenants + "monitoring: { namespace: monitoring, runbookUrl: https://wiki.example/lamina, labels: { release: prom }, serviceMonitor: { enabled: true, interval: 10s }, prometheusRule: { enabled: true }, dashboards: { enabled: true, label: dashboards }, podLabels: { app: prometheus } }\n",
        ["exposed API"] = TwoTenants + "api: { expose: true, tlsSecret: https, securityContact: mailto:security@example.org, securityPolicy: https://example.org/disclosure, from: [{ podSelector: { matchLabels: { app: gateway } } }], service: { port: 8443, type: LoadBalancer, annotations: { example/internal: \"true\" } } }\n",
        ["highly available"] = TwoTenants + HighlyAvailable + "tests: { keySecret: test-keys }\n",
        ["highly available, cert-manager, a namespace each"] = TwoTenants + HighlyAvailable + "namespacePerTenant: true\ncertificates: { mode: certManager }\n",
        ["own database, one coordinator"] = "database: { secret: db, host: pg.example, port: 6432, name: state, user: app, sslMode: Require, to: [{ ipBlock: { cidr: 10.1.0.0/16 } }] }\ntopologyKeys: [kubernetes.io/hostname, topology.kubernetes.io/zone]\n",
        ["routed by an Ingress and a Gateway"] = Routed + "api: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], ingress: { enabled: true, className: nginx, tlsSecret: front, annotations: { example/buffering: \"off\" } }, gateway: { enabled: true, parentRefs: [{ name: gw, namespace: infra, sectionName: https }], caConfigMap: ca } }\n",
        ["routed, a namespace each"] = Routed + "namespacePerTenant: true\napi: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], gateway: { enabled: true, parentRefs: [{ name: gw }] } }\n",
        ["pools that scale, GPUs, model policy"] = Scaled,
        ["pools that scale, cert-manager"] = Scaled + "certificates: { mode: certManager }\n",
        ["shared coordinator"] = TwoTenants + Shared + "monitoring: { namespace: monitoring, labels: { release: prom }, serviceMonitor: { enabled: true } }\n",
        ["shared coordinator, a namespace each"] = TwoTenants + Shared + "namespacePerTenant: true\n",
        ["shared coordinators, highly available, a namespace each"] = s_sharedHighlyAvailable + "namespacePerTenant: true\ntests: { keySecret: test-keys }\n",
        ["shared coordinators, highly available, cert-manager"] = s_sharedHighlyAvailable + "certificates: { mode: certManager }\n",
        ["shared coordinators, highly available, built-in PKI"] = s_sharedHighlyAvailable + "certificates: { mode: job }\n",
        ["shared coordinator, routed"] = Routed + Shared + "api: { expose: true, tlsSecret: https, from: [{ podSelector: {} }], ingress: { enabled: true, tlsSecret: front }, gateway: { enabled: true, parentRefs: [{ name: gw }] } }\n",
        ["shared coordinator, pools that scale, model policy"] = Scaled + Shared,
        ["no network policies"] = "networkPolicies: { enabled: false }\nimage: { tag: \"1.2.3\" }\n",
        ["own ports and DNS"] = "ports: { api: 18080, admin: 18081, control: 17070, link: 17071, health: 19090 }\nnetworkPolicies: { dns: { namespace: dns, podLabels: { app: dns }, port: 5353 } }\n",
        ["pods"] = "image: { repository: registry.example/lamina, digest: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\", pullPolicy: Always }\nimagePullSecrets: [pull]\npodLabels: { team: ml }\npodAnnotations: { note: here }\npriorityClassName: high\nrunAsUser: 2000\n"
            + "coordinator: { resources: { requests: { cpu: 250m, memory: 512Mi }, limits: { cpu: \"1\", memory: 1Gi } }, storeSize: 50Gi, storageClass: fast, terminationGracePeriodSeconds: 60, nodeSelector: { disk: ssd }, tolerations: [{ operator: Exists }] }\n"
            + "node: { resources: { requests: { cpu: \"1\", memory: 2Gi }, limits: { cpu: \"2\", memory: 2Gi } }, threads: 3, memoryBytes: 1000000000, cacheSize: 5Gi, storageClass: fast, maxUnavailable: 2, terminationGracePeriodSeconds: 90, nodeSelector: { disk: ssd }, tolerations: [{ operator: Exists }] }\n",
    };

    public static string Folder { get; } = Repository.File("helm/lamina");

    public static IReadOnlyList<Manifest> Render(string values)
    {
        (int code, string output, string error) = TryRender(values);
        Assert.True(code == 0, error);
        return Manifest.ReadAll(output);
    }

    public static (int Code, string Output, string Error) TryRender(string values)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, values);
            return DeployTools.Run(DeployTools.Helm, "template", "lamina", Folder, "--namespace", "lamina", "--values", file);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
