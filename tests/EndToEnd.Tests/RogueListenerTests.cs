using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.EndToEnd.Tests;

/// <summary>A node process whose seeds are impostors keeps dialling and does not exit.</summary>
public sealed class RogueListenerTests : IAsyncLifetime
{
    private const int DialsEach = 2;
    private static readonly string[] s_loopback = ["127.0.0.1", "localhost"];

    private readonly TemporaryFolder _folder = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly List<Rogue> _rogues = [];

    [Trait("Attack", "B7")]
    [Fact]
    public async Task Node_SeedsThatResetCloseAnswerGarbageOrShowAForeignCertificate_StaysUp()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test");
        TenantId tenant = new("acme");
        pki.AddTenant(tenant);
        CertificateFiles files = pki.Issue(tenant, PeerRole.Node, "node-1", s_loopback);
        using CertificateAuthority foreign = CertificateAuthority.Create("test", tenant);
        IssuedLeaf leaf = foreign.Issue(PeerRole.Coordinator, "front", s_loopback);
        using X509Certificate2 pem = X509Certificate2.CreateFromPem(leaf.CertificatePem, leaf.KeyPem);
        using X509Certificate2 impostor = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);

        Listen("resets", client =>
        {
            client.Client.LingerState = new LingerOption(true, 0);
            return Task.CompletedTask;
        });
        Listen("closes", _ => Task.CompletedTask);
        Listen("answers garbage", async client => await client.GetStream().WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray(), _ending.Token));
        Listen("shows a foreign certificate", client => ServeTlsAsync(client, impostor));

        string configuration = Path.Combine(_folder.Path, "node.json");
        await File.WriteAllTextAsync(configuration, JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["Node"] = new Dictionary<string, object>
            {
                ["Tenant"] = tenant.Value,
                ["Name"] = "node-1",
                ["CertificatePath"] = files.CertificatePath,
                ["KeyPath"] = files.KeyPath,
                ["TrustBundlePath"] = files.TrustBundlePath,
                ["Seeds"] = _rogues.Select(rogue => rogue.Endpoint).ToArray(),
                ["CachePath"] = Path.Combine(_folder.Path, "cache"),
            },
        }));
        using LaminaProcess node = LaminaProcess.Start("node", "--config", configuration);
        await Eventually.TrueAsync(
            () => node.HasExited || _rogues.All(rogue => rogue.Dials >= DialsEach), TimeSpan.FromSeconds(180),
            $"dials: {string.Join(", ", _rogues.Select(rogue => $"{rogue.Name} {rogue.Dials}"))}");
        Assert.False(node.HasExited, $"the node exited\n{node.Error}");
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        foreach (Rogue rogue in _rogues)
        {
            rogue.Listener.Dispose();
        }

        _ending.Dispose();
        _folder.Dispose();
    }

    private async Task ServeTlsAsync(TcpClient client, X509Certificate2 certificate)
    {
        await using SslStream tls = new(client.GetStream());
        SslServerAuthenticationOptions options = new() { ServerCertificate = certificate, EnabledSslProtocols = SslProtocols.Tls13 };
        await tls.AuthenticateAsServerAsync(options, _ending.Token);
        await tls.CopyToAsync(Stream.Null, _ending.Token);
    }

    private void Listen(string name, Func<TcpClient, Task> answer)
    {
        TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        Rogue rogue = new(name, listener);
        _rogues.Add(rogue);
        _ = AcceptAsync(rogue, answer);
    }

    private async Task AcceptAsync(Rogue rogue, Func<TcpClient, Task> answer)
    {
        while (!_ending.IsCancellationRequested)
        {
            try
            {
                using TcpClient client = await rogue.Listener.AcceptTcpClientAsync(_ending.Token);
                rogue.Count();
                await answer(client);
            }
            catch (Exception exception) when (exception is IOException or SocketException or AuthenticationException or OperationCanceledException or ObjectDisposedException)
            {
                // What the dialler made of it is seen from outside: whether its process lives.
            }
        }
    }

    private sealed class Rogue(string name, TcpListener listener)
    {
        private int _dials;

        public string Name => name;
        public TcpListener Listener => listener;
        public string Endpoint { get; } = listener.LocalEndpoint.ToString()!;
        public int Dials => Volatile.Read(ref _dials);

        public void Count() => Interlocked.Increment(ref _dials);
    }
}
