using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>
/// Leaves, root and HTTPS certificate of a cell of real processes are replaced again and again while callers use it: nothing fails, nothing is started anew. LAMINA_TEST_LONG=1 takes ten
/// rounds.
/// </summary>
public sealed class RotationTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);
    private static readonly TenantId s_tenant = ConfiguredCell.Tenant;

    [Trait("Attack", "H5")]
    [Fact]
    public async Task LeavesRootAndHttps_ReplacedUnderLoad_NoRequestFailsAndNoProcessIsStartedAnew()
    {
        int rounds = AttackScale.IsFull || Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1" ? 10 : 1;
        using TemporaryFolder folder = new();
        var https = new HttpsFiles(folder.Path);
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 2, plannedNodes: 2, https);
        int[] processes = [cell.Coordinator.Id, .. cell.Nodes.Values.Select(node => node.Id)];
        string question = "What is 27 + 15?";
        string expected = await cell.Http.StreamAsync(ChatApi.Chat(ChatApi.User(question)));

        using var stop = new CancellationTokenSource();
        int answered = 0;
        Task[] load =
        [
            .. Enumerable.Range(0, 2).Select(_ => LoadAsync(() => cell.Http)),
            LoadAsync(() => cell.NewClient()),
        ];
        for (int round = 1; round <= rounds; round++)
        {
            cell.Pki.RotateLeaves(s_tenant);
            await EverywhereAsync(cell, ShowsItsNewestAsync, "not every process shows its new certificate");
            using X509Certificate2 ofOld = Stranger(cell);
            cell.Pki.AddRoot(s_tenant);
            using X509Certificate2 ofNew = Stranger(cell);
            await EverywhereAsync(cell, async (port, _) => await IsKnownAsync(port, ofNew) && await IsKnownAsync(port, ofOld), "not every process trusts both roots");
            cell.Pki.RotateLeaves(s_tenant);
            await EverywhereAsync(cell, ShowsItsNewestAsync, "not every process shows a certificate of the new root");
            cell.Pki.DropOldRoots(s_tenant);
            await EverywhereAsync(cell, async (port, _) => await IsKnownAsync(port, ofNew) && !await IsKnownAsync(port, ofOld), "a process still trusts the old root");
            https.Renew();
            await Eventually.TrueAsync(async () => await HttpsThumbprintAsync(cell.Http.BaseAddress!) == https.Thumbprint, s_limit, "the listener never showed its new certificate");
            int seen = Volatile.Read(ref answered);
            await Eventually.TrueAsync(() => Volatile.Read(ref answered) > seen + 5 || load.Any(task => task.IsFaulted), s_limit, "no request was answered after the rotation");
        }

        // Who comes after it all is known to those who were there before.
        cell.StartNode("late");
        await cell.WaitAsync(status => status.Nodes.ContainsKey("late"), "joined by a node of the newest root");
        await stop.CancelAsync();
        await Task.WhenAll(load);
        output.WriteLine($"{rounds} rotations of leaves (twice), root and HTTPS certificate; {answered} requests answered meanwhile");
        Assert.Equal(processes.Order(), cell.Nodes.Where(node => node.Key != "late").Select(node => node.Value.Id).Append(cell.Coordinator.Id).Order());
        Assert.False(cell.Coordinator.HasExited || cell.Nodes.Values.Any(node => node.HasExited), cell.Logs);

        async Task LoadAsync(Func<HttpClient> client)
        {
            while (!stop.IsCancellationRequested)
            {
                HttpClient http = client();
                try
                {
                    Assert.Equal(expected, await http.StreamAsync(ChatApi.Chat(ChatApi.User(question))));
                    Interlocked.Increment(ref answered);
                }
                finally
                {
                    if (http != cell.Http)
                    {
                        http.Dispose();
                    }
                }
            }
        }
    }

    /// <summary>All link ports, until each is as it should be.</summary>
    private static Task EverywhereAsync(ConfiguredCell cell, Func<Endpoint, CertificateFiles, Task<bool>> condition, string otherwise) => Eventually.TrueAsync(
        async () =>
        {
            foreach ((Endpoint port, CertificateFiles files) in cell.LinkPorts)
            {
                if (!await condition(port, files))
                {
                    return false;
                }
            }

            return true;
        },
        s_limit,
        otherwise);

    private static async Task<bool> ShowsItsNewestAsync(Endpoint port, CertificateFiles files)
    {
        using X509Certificate2 newest = X509CertificateLoader.LoadCertificateFromFile(files.CertificatePath);
        return await ShownAsync(port.Host, port.Port, new SslApplicationProtocol("lamina-link/1")) == newest.Thumbprint;
    }

    private static Task<string> HttpsThumbprintAsync(Uri address) => ShownAsync(address.Host, address.Port, SslApplicationProtocol.Http11);

    /// <summary>The certificate that a server shows, which it does before it asks for one.</summary>
    private static async Task<string> ShownAsync(string host, int port, SslApplicationProtocol protocol)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(host, port);
        string shown = "";
        await using var tls = new SslStream(socket.GetStream());
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = host,
                ApplicationProtocols = [protocol],
                RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                {
                    shown = (certificate as X509Certificate2)?.Thumbprint ?? "";
                    return true;
                },
            });
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            // Without a certificate of one's own one is refused in the end.
        }

        return shown;
    }

    /// <summary>Whether the port takes the certificate for one of its cell: then it reads on, and objects to the name that the hello gives.</summary>
    private static async Task<bool> IsKnownAsync(Endpoint port, X509Certificate2 certificate)
    {
        var claim = new CrossingClaim(s_tenant, "somebody-else", port, LinkPurpose.Blobs, default);
        CrossingAttempt attempt = await CrossingProbe.TryAsync(port, PortKind.Link, certificate, claim, CancellationToken.None);
        return attempt.Detail.Contains("hello names", StringComparison.Ordinal);
    }

    /// <summary>A member's certificate from the newest root.</summary>
    private static X509Certificate2 Stranger(ConfiguredCell cell)
    {
        CertificateFiles files = cell.Pki.Issue(s_tenant, PeerRole.Node, "stranger", ["127.0.0.1"]);
        using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(files.CertificatePath, files.KeyPath);
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }
}
