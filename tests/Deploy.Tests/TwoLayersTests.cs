using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s.Models;
using Lamina.Cluster.Identity;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>
/// Two tenants on machines of their own, between them the chart's network policies as packet filter rules: nothing crosses. Without the rules everything reaches everything, and
/// mutual TLS alone keeps them apart.
/// </summary>
public sealed class TwoLayersTests(ITestOutputHelper output) : IDisposable
{
    private const int Control = 7070, Link = 7071, Health = 9090;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-layers-").FullName;

    private static string Lamina => Repository.File("artifacts/bin/Cli/release/lamina");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Trait("Attack", "I1")]
    [Trait("Attack", "I2")]
    [Trait("Attack", "I4")]
    [Fact]
    public void Tenants_UnderPoliciesAndWithout_AreKeptApartByEachLayerAlone()
    {
        Assert.SkipWhen(Machines.Problem() is not null, Machines.Problem() ?? "");
        Assert.SkipUnless(File.Exists(Lamina), "the lamina executable is not built");

        // The chart's own pods and policies: a coordinator and a node of each tenant, with the flows that the policies leave between them.
        IReadOnlyList<Manifest> manifests = Chart.Render(Chart.TwoTenants);
        PolicyMatrix matrix = new(manifests.Select(manifest => manifest.Value).OfType<V1NetworkPolicy>());
        Peer[] pods = [.. manifests.Where(manifest => manifest.PodTemplate is not null && (manifest.Name.EndsWith("-coordinator", StringComparison.Ordinal) || manifest.Name.EndsWith("-cpu", StringComparison.Ordinal)))
            .Select(manifest => new Peer(manifest.Name, manifest.Namespace!, manifest.PodTemplate!.Metadata.Labels))];
        Assert.Equal(4, pods.Length);
        (string, string, int)[] allowed = [.. pods.SelectMany(from => pods.Where(to => to != from).SelectMany(to => new[] { Control, Link, Health }.Where(port => matrix.Allows(from, to, port, "TCP")).Select(port => (from.Name, to.Name, port))))];
        Assert.Equal(8, allowed.Length); // in each cell, both ways, two ports
        (string, string)[] foreign = [.. pods.SelectMany(from => pods.Where(to => TenantOf(to) != TenantOf(from)).Select(to => (from.Name, to.Name)))];

        using Machines machines = Machines.Create([.. pods.Select(pod => pod.Name)]);
        machines.Filter(allowed, foreign);
        DeployTools.RunSuccessfully(Lamina, "pki", "init", "--folder", Path.Combine(_folder, "pki"));
        var running = new List<(Process Process, StringBuilder Said)>();
        foreach (string tenant in new[] { "acme", "rival-labs" })
        {
            DeployTools.RunSuccessfully(Lamina, "pki", "tenant", tenant, "--folder", Path.Combine(_folder, "pki"));
            string coordinator = $"lamina-{tenant}-coordinator", node = $"lamina-{tenant}-cpu";
            running.Add(machines.Start(coordinator, Lamina, "coordinator", "--config", Configure(machines, tenant, coordinator, "coordinator")));
            running.Add(machines.Start(node, Lamina, "node", "--config", Configure(machines, tenant, node, "node")));
        }

        foreach ((Process _, StringBuilder said) in new[] { running[0], running[2] })
        {
            WaitFor(said, ": Ready");
        }

        // Rules in force: from acme's node, with acme's certificates, nothing of the rival is even reached, and not one packet arrived there.
        JsonNode[] ruled = Try(machines, "lamina-acme-cpu", "acme", "rival-labs", "--allow-unreachable");
        Assert.All(ruled.Where(crossing => crossing["into"]!.GetValue<string>() == "rival-labs"), crossing => Assert.StartsWith("not reachable", crossing["detail"]!.GetValue<string>(), StringComparison.Ordinal));
        Assert.Equal(0, machines.Packets("crossed"));
        Assert.True(machines.Packets("dropped") > 0);
        output.WriteLine($"with the policies: {ruled.Length} attempts, {machines.Packets("dropped")} packets dropped, {machines.Packets("crossed")} crossed");

        // Rules gone: packets cross, and every door is found locked; so are those of the own cell to a member that claims to be another.
        machines.Filter(null, foreign);
        JsonNode[] open = Try(machines, "lamina-acme-cpu", "acme", "rival-labs");
        Assert.True(machines.Packets("crossed") > 0);
        JsonNode[] doors = [.. open.Where(crossing => crossing["what"]!.GetValue<string>().Contains("port", StringComparison.Ordinal))];
        Assert.InRange(doors.Length, 20, 100);
        JsonNode[] ofEpochs = [.. doors.Where(crossing => crossing["what"]!.GetValue<string>().Contains("an epoch that is over", StringComparison.Ordinal))];
        Assert.Equal(["held", "not tried"], ofEpochs.Select(crossing => crossing["result"]!.GetValue<string>()).Order(StringComparer.Ordinal));
        Assert.Contains(ofEpochs, crossing => crossing["detail"]!.GetValue<string>().Contains("is not on this node", StringComparison.Ordinal));
        Assert.All(doors.Except(ofEpochs), crossing => Assert.Equal("held", crossing["result"]!.GetValue<string>()));
        Assert.All(doors, crossing => Assert.DoesNotContain("reach", crossing["detail"]!.GetValue<string>(), StringComparison.Ordinal));
        Assert.All(running, process => Assert.False(process.Process.HasExited, process.Said.ToString()));
        Assert.Contains("refused", running[2].Said.ToString(), StringComparison.Ordinal);

        // What was refused stands in the audit log of whose door it was: at the rival's the foreign certificate, at one's own the member that claimed to be another or of another tenant.
        WaitForAudit("rival-labs", RefusalReason.UntrustedChain);
        WaitForAudit("acme", RefusalReason.Claim);
        output.WriteLine($"without them: {doors.Length} doors tried, {machines.Packets("crossed")} packets crossed, all refused");
    }

    private static string TenantOf(Peer pod) => pod.Labels["lamina.dev/tenant"];

    /// <summary>Tries the ports of both tenants from one machine; every attempt must fail.</summary>
    private JsonNode[] Try(Machines machines, string from, string tenant, string rival, params string[] options)
    {
        string[] targets = [.. new[] { tenant, rival }.SelectMany(owner => new[] { $"lamina-{owner}-coordinator", $"lamina-{owner}-cpu" }
            .SelectMany(machine => new[] { "--target", $"{owner}/control={machines.AddressOf(machine)}:{Control}", "--target", $"{owner}/link={machines.AddressOf(machine)}:{Link}" }))];
        (int code, string text, string error) = machines.TryRun(from, [Lamina, "verify-isolation", "--json", "--identity", Path.Combine(_folder, "pki", tenant, "node", from), .. targets, .. options]);
        Assert.True(code == 0, text + error);
        return [.. JsonNode.Parse(text)!["crossings"]!.AsArray().Select(crossing => crossing!)];
    }

    private string Configure(Machines machines, string tenant, string machine, string role)
    {
        string address = machines.AddressOf(machine), seed = $"{machines.AddressOf($"lamina-{tenant}-coordinator")}:{Control}";
        DeployTools.RunSuccessfully(Lamina, "pki", "issue", tenant, role, machine, "--host", address, "--folder", Path.Combine(_folder, "pki"));
        string files = Path.Combine(_folder, "pki", tenant, role, machine);
        var common = new Dictionary<string, object>
        {
            ["Tenant"] = tenant,
            ["Name"] = machine,
            ["CertificatePath"] = Path.Combine(files, "tls.crt"),
            ["KeyPath"] = Path.Combine(files, "tls.key"),
            ["TrustBundlePath"] = Path.Combine(files, "ca.crt"),
            ["BindAddress"] = address,
            ["ControlPort"] = Control,
            ["LinkPort"] = Link,
            ["Seeds"] = new[] { seed },
        };
        object section;
        if (role == "node")
        {
            common["CachePath"] = Path.Combine(_folder, "cache-" + machine);
            common["Threads"] = 1;
            section = new { Node = common };
        }
        else
        {
            common["Models"] = new[] { new { Path = Repository.File("models/lamina-tiny-q8_0.gguf") } };
            section = new { Coordinator = new { Listen = "127.0.0.1:8080", StorePath = Path.Combine(_folder, "store-" + machine), Cells = new[] { common } } };
        }

        string path = Path.Combine(_folder, machine + ".json");
        File.WriteAllText(path, JsonSerializer.Serialize(section));
        return path;
    }

    /// <summary>A refusal of that reason in the tenant's coordinator's audit log, whose chain holds.</summary>
    private void WaitForAudit(string tenant, RefusalReason reason)
    {
        string found = "";
        for (long until = Environment.TickCount64 + (long)s_limit.TotalMilliseconds; Environment.TickCount64 < until; Thread.Sleep(250))
        {
            (_, found, string error) = DeployTools.Run(Lamina, "audit", "export", Path.Combine(_folder, $"store-lamina-{tenant}-coordinator", "audit"));
            found += error;
            if (found.Split('\n').Any(line => line.Contains("\"actor\":\"peer\"", StringComparison.Ordinal) && line.Contains($"\"tenant\":\"{tenant}\"", StringComparison.Ordinal)
                && line.Contains($"\"result\":\"{reason.Label()}\"", StringComparison.Ordinal)))
            {
                return;
            }
        }

        Assert.Fail($"the audit log of {tenant} has no refusal by {reason.Label()}:\n{found}");
    }

    private static void WaitFor(StringBuilder said, string text)
    {
        for (long until = Environment.TickCount64 + (long)s_limit.TotalMilliseconds; Environment.TickCount64 < until; Thread.Sleep(100))
        {
            lock (said)
            {
                if (said.ToString().Contains(text, StringComparison.Ordinal))
                {
                    return;
                }
            }
        }

        Assert.Fail($"never said '{text}':\n{said}");
    }
}
