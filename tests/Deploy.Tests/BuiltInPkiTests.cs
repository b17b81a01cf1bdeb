using System.Net;
using System.Net.Sockets;
using System.Text;
using k8s.Models;
using Lamina.Cluster.Identity;
using Lamina.Deploy.Tests.Kubelet;
using Lamina.Deploy.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>What the chart's Job runs, <c>lamina pki kubernetes</c> with the Job's own arguments, against an API server that lets it do what the chart's Role says.</summary>
public sealed class BuiltInPkiTests : IAsyncLifetime
{
    private const string Space = "lamina", Root = "lamina-main-root", Coordinator = "lamina-main-coordinator-pki", Nodes = "lamina-main-cpu-pki";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-pki-").FullName;
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private PlayedApiServer _server = null!;
    private IReadOnlyList<Manifest> _manifests = [];

    private static string Lamina => Repository.File("artifacts/bin/Cli/release/lamina");

    public async ValueTask InitializeAsync()
    {
        _manifests = Chart.Render("certificates: { mode: job }\n");
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _server = await PlayedApiServer.StartAsync(_socket, "127.0.0.1");
        _server.Use(_manifests.Select(manifest => manifest.Value));
        await File.WriteAllTextAsync(Path.Combine(_folder, "ca.crt"), _server.Authority);
        await File.WriteAllTextAsync(Path.Combine(_folder, "token"), _server.TokenOf(Space, Job("lamina-main-pki-hook").Spec.ServiceAccountName));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _socket.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Job_RunAgainAndAgain_MakesWhatIsMissingAndKeepsWhatIsGood()
    {
        string first = Succeed();
        Assert.Contains($"{Root}: created", first, StringComparison.Ordinal);
        Assert.Contains($"{Nodes}: 2 of 2 certificates issued", first, StringComparison.Ordinal);
        V1Secret[] made = [.. new[] { Root, Coordinator, Nodes }.Select(Find)];
        Assert.Equal(["1.crt", "1.key"], made[0].Data.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(["ca.crt", "lamina-main-cpu-0.crt", "lamina-main-cpu-0.key", "lamina-main-cpu-1.crt", "lamina-main-cpu-1.key"], made[2].Data.Keys.Order(StringComparer.Ordinal));
        Assert.All(made, secret => Assert.Equal(("Opaque", "lamina-pki", "main"), (secret.Type, secret.Metadata.Labels["app.kubernetes.io/managed-by"], secret.Metadata.Labels["lamina.dev/tenant"])));
        Assert.All(made[1..], secret => Assert.DoesNotContain(secret.Data.Values, file => Encoding.UTF8.GetString(file) == Text(made[0], "1.key"))); // the root's key is where no pod mounts it

        // As mounted, they are what a process takes, under the name and host that its manifest gives it.
        string mounted = Directory.CreateDirectory(Path.Combine(_folder, "mounted")).FullName;
        foreach ((string name, byte[] content) in made[2].Data)
        {
            File.WriteAllBytes(Path.Combine(mounted, name), content);
            File.SetUnixFileMode(Path.Combine(mounted, name), UnixFileMode.UserRead | UnixFileMode.GroupRead);
        }

        using (var taken = CertificateProvider.FromFiles(Path.Combine(mounted, "lamina-main-cpu-1.crt"), Path.Combine(mounted, "lamina-main-cpu-1.key"), Path.Combine(mounted, "ca.crt")))
        {
            Assert.Equal("spiffe://lamina/tenant/main/node/lamina-main-cpu-1", taken.Self.Uri);
        }

        Assert.Equal(["lamina-main-cpu-1.lamina-main-cpu.lamina.svc.cluster.local"], IssuedCertificate.Read(Path.Combine(mounted, "lamina-main-cpu-1.crt")).Hosts);

        // Nothing is due: nothing is written. What somebody added stays.
        Assert.Contains($"{Nodes}: 0 of 2 certificates issued", Succeed(), StringComparison.Ordinal);
        Assert.Equal(made.Select(Version), new[] { Root, Coordinator, Nodes }.Select(Find).Select(Version));
        made[2].Data["denied.txt"] = "spiffe://lamina/tenant/main/node/gone\n"u8.ToArray();
        _server.Set(made[2]);

        // All are due, under the same root; a pod more, then one less.
        string renewed = Succeed(("--leaf=24h", "--leaf=48h"), ("--renew-before=8h", "--renew-before=25h"), ("--part=node/lamina-main-cpu=2", "--part=node/lamina-main-cpu=3"));
        Assert.Contains($"{Root}: kept", renewed, StringComparison.Ordinal);
        Assert.Contains($"{Nodes}: 3 of 3 certificates issued", renewed, StringComparison.Ordinal);
        Assert.Equal(Version(made[0]), Version(Find(Root)));
        Assert.Equal(Text(made[2], "ca.crt"), Text(Find(Nodes), "ca.crt"));
        Assert.All(new[] { "lamina-main-cpu-0.crt", "lamina-main-cpu-0.key" }, file => Assert.NotEqual(Text(made[2], file), Text(Find(Nodes), file)));
        Assert.Contains($"{Nodes}: 0 of 1 certificates issued", Succeed(("--part=node/lamina-main-cpu=2", "--part=node/lamina-main-cpu=1")), StringComparison.Ordinal);
        Assert.Equal(["ca.crt", "denied.txt", "lamina-main-cpu-0.crt", "lamina-main-cpu-0.key"], Find(Nodes).Data.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Jobs_OfTenantsThatShareACoordinator_KeepItsCertificateOfEachInASecretOfItsOwn()
    {
        _manifests = Chart.Render("coordinator: { shared: true }\ncertificates: { mode: job }\ntenants: [{ name: acme, models: [], pools: [{ name: cpu, replicas: 1 }] }, { name: rival, models: [], pools: [{ name: cpu, replicas: 1 }] }]\n");
        _server.Use(_manifests.Select(manifest => manifest.Value));
        foreach (string tenant in new[] { "acme", "rival" })
        {
            File.WriteAllText(Path.Combine(_folder, "token"), _server.TokenOf(Space, Job($"lamina-{tenant}-pki-hook").Spec.ServiceAccountName));
            (int code, _, string error) = Run(Job($"lamina-{tenant}-pki-hook").Spec.Containers[0].Args);
            Assert.True(code == 0, error);
        }

        V1Secret[] leaves = [Find("lamina-acme-coordinator-pki"), Find("lamina-rival-coordinator-pki")];
        Assert.All(leaves, secret => Assert.Equal(["ca.crt", "lamina-coordinator-0.crt", "lamina-coordinator-0.key"], secret.Data.Keys.Order(StringComparer.Ordinal)));
        Assert.Equal(["acme", "rival"], leaves.Select(secret => secret.Metadata.Labels["lamina.dev/tenant"]));
        Assert.NotEqual(Text(leaves[0], "ca.crt"), Text(leaves[1], "ca.crt"));
        string file = Path.Combine(_folder, "leaf.crt");
        File.WriteAllText(file, Text(leaves[1], "lamina-coordinator-0.crt"));
        Assert.Equal(["lamina-coordinator-0.lamina-coordinator.lamina.svc.cluster.local"], IssuedCertificate.Read(file).Hosts);
        Assert.Equal("spiffe://lamina/tenant/rival/coordinator/lamina-coordinator-0", IssuedCertificate.Read(file).Identity?.Uri);

        // One tenant's account may not touch what is the other's.
        File.WriteAllText(Path.Combine(_folder, "token"), _server.TokenOf(Space, Job("lamina-acme-pki-hook").Spec.ServiceAccountName));
        (int refused, _, string because) = Run(Job("lamina-acme-pki-hook").Spec.Containers[0].Args.Select(argument => argument.Replace("lamina-acme-coordinator-pki", "lamina-rival-coordinator-pki", StringComparison.Ordinal)));
        Assert.Equal(1, refused);
        Assert.Contains("answered 403 for Secret 'lamina-rival-coordinator-pki'", because, StringComparison.Ordinal);
    }

    [Fact]
    public void Job_WhereASecretIsSomebodyElses_LeavesItAloneAndSaysSo()
    {
        Secret(Nodes, ("ca.crt", "theirs"));
        Refuse($"Secret '{Nodes}' was made by somebody else and is left alone; delete it to have its certificates made here");
        Assert.Equal("theirs", Text(Find(Nodes), "ca.crt"));

        // A root that is there is used or nothing is; an operator's own is used like ours.
        V1Secret ours = Find(Root);
        Secret(Root, ("tls.crt", "theirs"));
        Refuse($"Secret '{Root}' is there and holds no root under 1.crt and 1.key; it is left alone, and nothing is issued");
        Secret(Root, ("1.crt", Text(ours, "1.crt")), ("1.key", "no key"));
        Assert.Contains("root 1 of tenant 'main' cannot be used", Refuse(""), StringComparison.Ordinal);
        Secret(Root, ("1.crt", Text(ours, "1.crt")), ("1.key", Text(ours, "1.key")), ("note", "kept"));
        Secret(Nodes);
        Assert.Contains("made by somebody else", Refuse(""), StringComparison.Ordinal);
        Assert.Contains("0 of 1 certificates issued", Succeed(("--part=node/lamina-main-cpu=2", "")), StringComparison.Ordinal);
        Assert.Equal("kept", Text(Find(Root), "note"));
    }

    [Fact]
    public void Job_ThatIsNotLet_OrMeetsAStranger_WritesNothing()
    {
        string[] others = [.. Job("lamina-main-pki-hook").Spec.Containers[0].Args.Select(argument => argument.Replace("lamina-main", "lamina-rival", StringComparison.Ordinal))];
        (int code, _, string error) = Run(others);
        Assert.Equal(1, code);
        Assert.Contains("the API server answered 403 for Secret 'lamina-rival-root': secrets \"lamina-rival-root\" is forbidden: cannot get", error, StringComparison.Ordinal);

        File.WriteAllText(Path.Combine(_folder, "ca.crt"), ServerCertificate.Create("127.0.0.1").Certificate);
        Assert.Contains("cannot be asked for Secret", Refuse(""), StringComparison.Ordinal);
        File.Delete(Path.Combine(_folder, "token"));
        Assert.Contains("this is no pod with a service account", Refuse(""), StringComparison.Ordinal);
        Assert.Null(_server.Find(Space, Root));
    }

    private static string Version(V1Secret secret) => secret.Metadata.ResourceVersion;

    private static string Text(V1Secret secret, string file) => Encoding.UTF8.GetString(secret.Data[file]);

    private V1Secret Find(string name) => _server.Find(Space, name)!;

    private void Secret(string name, params (string File, string Text)[] files) => _server.Set(new V1Secret
    {
        ApiVersion = "v1",
        Kind = "Secret",
        Metadata = new V1ObjectMeta { Name = name, NamespaceProperty = Space },
        Data = files.ToDictionary(file => file.File, file => Encoding.UTF8.GetBytes(file.Text)),
    });

    private V1PodTemplateSpec Job(string name) => _manifests.Single(manifest => manifest.Kind == "Job" && manifest.Name == name).PodTemplate!;

    private (int Code, string Output, string Error) Run(IEnumerable<string> arguments) => DeployTools.Run(
        "env", [$"KUBERNETES_SERVICE_HOST=127.0.0.1", $"KUBERNETES_SERVICE_PORT={((IPEndPoint)_socket.LocalEndPoint!).Port}", Lamina, .. arguments.Where(argument => argument.Length > 0), "--service-account", _folder]);

    /// <summary>With the Job's arguments, some of them changed.</summary>
    private string Succeed(params (string From, string To)[] changed)
    {
        (int code, string output, string error) = Run(Job("lamina-main-pki-hook").Spec.Containers[0].Args.Select(argument => changed.Where(pair => pair.From == argument).Select(pair => pair.To).FirstOrDefault(argument)));
        Assert.True(code == 0, error);
        return output;
    }

    private string Refuse(string because)
    {
        (int code, _, string error) = Run(Job("lamina-main-pki-hook").Spec.Containers[0].Args);
        Assert.Equal(1, code);
        Assert.Contains(because, error, StringComparison.Ordinal);
        return error;
    }
}
