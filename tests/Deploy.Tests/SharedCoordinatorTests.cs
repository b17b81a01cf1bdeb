using System.Net;
using System.Text.Json.Nodes;
using k8s.Models;
using Lamina.Deploy.Tests.Kubelet;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>Two tenants in one coordinator, each with its nodes in a namespace of its own, installed as the notes say: what they share serves both, and nothing of one gets to the other.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class SharedCoordinatorTests
{
    private const string Front = "lamina-coordinator-0", Host = "lamina-api.lamina.svc.cluster.local", Gateway = "gateway";

    private const string Values = """
        tenants:
          - name: acme
            models: [{ path: /app/models/lamina-tiny-q8_0.gguf, name: acme-tiny }]
            pools: [{ name: cpu, replicas: 1 }]
          - name: rival
            models: [{ path: /app/models/lamina-tiny-q8_0.gguf, name: rival-tiny }]
            pools: [{ name: cpu, replicas: 1 }]
        namespacePerTenant: true
        coordinator: { shared: true }
        node: { threads: 1 }
        tests: { keySecret: test-keys }
        api: { expose: true, tlsSecret: https, from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: front } } }] }
        """;

    [Trait("Attack", "I1")]
    [Trait("Attack", "I2")]
    [Trait("Attack", "I3")]
    [Fact]
    public async Task Tenants_OfOneCoordinator_AreServedByItAndKeptApart()
    {
        Assert.SkipWhen(PlayedCluster.Problem() is not null, PlayedCluster.Problem() ?? "");
        await using PlayedCluster cluster = PlayedCluster.Create();
        cluster.AddOutside(new Peer(Gateway, "front", new Dictionary<string, string> { ["app"] = "gateway" }), "gateway.front.svc.cluster.local");
        (string authority, string key) = ServerCertificate.Create(Host);
        SetSecret(cluster, "https", new() { ["tls.crt"] = authority, ["tls.key"] = key, ["ca.crt"] = authority });
        Release release = Release.Render(Values);
        Task installed = cluster.ApplyAsync(release.Manifests);
        release.MakeCertificates(cluster);
        await installed;
        Assert.Equal([Front, "lamina-acme-cpu-0", "lamina-rival-cpu-0"], cluster.Pods.Select(pod => pod.Name).Order(StringComparer.Ordinal).OrderByDescending(name => name == Front));
        Assert.All(cluster.Pods, pod => Assert.Equal(0, pod.Restarts));
        Dictionary<string, string> keys = new() { ["acme"] = await release.MakeKeyAsync(cluster, "acme"), ["rival"] = await release.MakeKeyAsync(cluster, "rival") };

        await RequireServedApartAsync(cluster, authority, keys);
        await RequireOneDashboardAsync(cluster, authority, await release.MakeKeyAsync(cluster, "--operator"), keys["acme"]);
        SetSecret(cluster, "test-keys", keys);
        Task<IReadOnlyList<PodContainer>> tested = cluster.TestAsync();
        await RequireDoorsHeldAsync(cluster);
        Assert.All(await tested, container => Assert.True(container.ExitCode == 0, $"{container.Name}: {container.Said}"));
        await RequireNothingReachedAsync(cluster);
    }

    /// <summary>Each key opens its own tenant's models and files, and none of the other's, at the one address that both call.</summary>
    private static async Task RequireServedApartAsync(PlayedCluster cluster, string authority, Dictionary<string, string> keys)
    {
        HttpClient Caller(string? tenant)
        {
            HttpClient http = NamespaceSocket.CreateClient(cluster.Machines.Namespace(Gateway), cluster.AddressOfService("lamina-api"), 443, Host, authority);
            http.DefaultRequestHeaders.Authorization = tenant is null ? null : new("Bearer", keys[tenant]);
            return http;
        }

        using HttpClient acme = Caller("acme"), rival = Caller("rival"), nobody = Caller(null);
        string answer = await Chat.AskAsync(acme, "Hello", model: "acme-tiny");
        Assert.NotEmpty(answer);
        Assert.Equal(answer, await Chat.AskAsync(rival, "Hello", model: "rival-tiny"));
        Assert.StartsWith("401", (await Assert.ThrowsAsync<HttpRequestException>(() => Chat.AskAsync(nobody, "Hello", model: "acme-tiny"))).Message, StringComparison.Ordinal);
        foreach ((HttpClient http, string own, string other) in new[] { (acme, "acme-tiny", "rival-tiny"), (rival, "rival-tiny", "acme-tiny") })
        {
            JsonNode models = JsonNode.Parse(await http.GetStringAsync("v1/models"))!;
            Assert.Equal([own], models["data"]!.AsArray().Select(model => model!["id"]!.GetValue<string>()));
            Assert.StartsWith("404", (await Assert.ThrowsAsync<HttpRequestException>(() => Chat.AskAsync(http, "Hello", model: other))).Message, StringComparison.Ordinal);
        }

        using MultipartFormDataContent upload = new() { { new StringContent("batch"), "purpose" }, { new StringContent("{}\n"), "file", "mine.jsonl" } };
        using HttpResponseMessage stored = await rival.PostAsync("v1/files", upload);
        string file = JsonNode.Parse(await stored.EnsureSuccessStatusCode().Content.ReadAsStringAsync())!["id"]!.GetValue<string>();
        using HttpResponseMessage mine = await rival.GetAsync($"v1/files/{file}"), theirs = await acme.GetAsync($"v1/files/{file}");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound), (mine.StatusCode, theirs.StatusCode));
    }

    /// <summary>As through kubectl port-forward: the operator's key shows both cells, a tenant's key opens nothing.</summary>
    private static async Task RequireOneDashboardAsync(PlayedCluster cluster, string authority, string operators, string tenants)
    {
        using HttpClient admin = NamespaceSocket.CreateClient(cluster.Pod(Front).Space, "127.0.0.1", 8081, Host, authority);
        using (HttpResponseMessage refused = await SendAsync(tenants))
        {
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        using HttpResponseMessage cells = await SendAsync(operators);
        string text = await cells.EnsureSuccessStatusCode().Content.ReadAsStringAsync();
        Assert.Equal(["acme", "rival"], JsonNode.Parse(text)!["data"]!.AsArray().Select(cell => cell!["tenant"]!.GetValue<string>()).Order(StringComparer.Ordinal));

        Task<HttpResponseMessage> SendAsync(string key)
        {
            admin.DefaultRequestHeaders.Authorization = new("Bearer", key);
            return admin.GetAsync("admin/cells");
        }
    }

    /// <summary>From a tenant's node its own cell's ports are open, and whatever else the coordinator or the other tenant's node listens on is dropped on the way.</summary>
    private static async Task RequireNothingReachedAsync(PlayedCluster cluster)
    {
        string front = cluster.Pod(Front).Address;
        foreach ((string from, string to, int[] own, int[] others) in new[] { ("lamina-acme-cpu-0", "lamina-rival-cpu-0", new[] { 7070, 7071 }, new[] { 7072, 7073 }), ("lamina-rival-cpu-0", "lamina-acme-cpu-0", [7072, 7073], [7070, 7071]) })
        {
            foreach (int port in own)
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
                (await NamespaceSocket.ConnectAsync(cluster.Pod(from).Space, front, port, limit.Token)).Dispose();
            }

            await Task.WhenAll([
                .. others.Concat([8080, 8081, 9090]).Select(port => NamespaceSocket.RequireDroppedAsync(cluster.Pod(from).Space, front, port)),
                .. new[] { 7070, 7071, 9090 }.Select(port => NamespaceSocket.RequireDroppedAsync(cluster.Pod(from).Space, cluster.Pod(to).Address, port)),
            ]);
        }

        Assert.Equal(0, cluster.Machines.Packets("crossed"));
    }

    /// <summary>Where no policy is in between, in the coordinator's own pod, a member of one cell finds the other's doors in the same process locked.</summary>
    private static async Task RequireDoorsHeldAsync(PlayedCluster cluster)
    {
        foreach ((string mine, string other, int control) in new[] { ("acme", "rival", 7072), ("rival", "acme", 7070) })
        {
            (int code, string text, string error) = await cluster.Pod(Front).Containers[0].ExecAsync(
                ["/app/lamina", "verify-isolation", "--json", "--identity", $"/etc/lamina/pki/{mine}/{Front}", "--target", $"{other}/control={Front}.lamina-coordinator.lamina.svc.cluster.local:{control}", "--target", $"{other}/link={Front}.lamina-coordinator.lamina.svc.cluster.local:{control + 1}"]);
            Assert.True(code == 0, error + text);
            JsonNode[] tries = [.. JsonNode.Parse(text)!["crossings"]!.AsArray().Select(crossing => crossing!).Where(crossing => crossing["into"]!.GetValue<string>() == other && crossing["what"]!.GetValue<string>().Contains("port", StringComparison.Ordinal))];
            Assert.NotEmpty(tries);
            Assert.All(tries, crossing => Assert.Equal("held", crossing["result"]!.GetValue<string>()));
            Assert.All(tries, crossing => Assert.DoesNotContain("reach", crossing["detail"]!.GetValue<string>(), StringComparison.Ordinal));
        }
    }

    private static void SetSecret(PlayedCluster cluster, string name, Dictionary<string, string> files) =>
        cluster.Volumes.Set(new V1Secret { Metadata = new V1ObjectMeta { Name = name, NamespaceProperty = "lamina" }, StringData = files });
}
