using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Api.Listening;

[UnsupportedOSPlatform("windows")]
public sealed class HttpsTests : IDisposable
{
    private const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    private const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-https-").FullName;

    private TlsOptions Tls => new() { CertificatePath = Path.Combine(_folder, "tls.crt"), KeyPath = Path.Combine(_folder, "tls.key") };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Api_OnAnAddressOfTheNetwork_SpeaksHttpsAndAsksForKeys()
    {
        using X509Certificate2 certificate = Write("front");
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync([], listen: "0.0.0.0:0", change: options => options with { Tls = Tls });
        using HttpClient http = Client(coordinator.Host.HttpAddress, certificate);

        Assert.Equal("https", coordinator.Host.HttpAddress.Scheme);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/v1/models")).StatusCode);

        string plain = await RawHttp.SendAsync(Local(coordinator.Host.HttpAddress), "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.DoesNotContain("live", plain, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.0.0.0:0", null)]
    [InlineData("127.0.0.1:0", "0.0.0.0:0")]
    public async Task Start_PlainHttpForOtherMachines_IsRefusedUnlessAllowed(string listen, string? admin)
    {
        CoordinatorOptions Change(CoordinatorOptions options) => options with { Admin = admin is null ? null : new AdminOptions { Listen = admin } };

        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => TestCoordinator.StartAsync([], listen: listen, change: Change));
        Assert.Contains("plain HTTP would show them keys and prompts", refused.Message, StringComparison.Ordinal);
        Assert.Contains(admin is null ? "Coordinator:Listen is" : "Coordinator:Admin:Listen is", refused.Message, StringComparison.Ordinal);

        await using TestCoordinator allowed = await TestCoordinator.StartAsync([], listen: listen, change: options => Change(options) with { AllowPlainHttp = true });
        Assert.Equal("http", allowed.Host.HttpAddress.Scheme);
    }

    [Fact]
    public async Task Start_OpenWithoutKeys_IsRefused()
    {
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() =>
            TestCoordinator.StartAsync([], listen: "0.0.0.0:0", change: options => options with { AllowPlainHttp = true, RequireKeys = false }));

        Assert.Contains("only a loopback address with one cell may answer without keys", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificate_Replaced_IsTakenOverWithoutARestart()
    {
        using X509Certificate2 first = Write("front");
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync([], change: options => options with { Tls = Tls });
        using HttpClient open = Client(coordinator.Host.HttpAddress, first);
        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/health/live")).StatusCode);

        // Half of a rotation: the key does not fit, so the old pair stays.
        string key = await File.ReadAllTextAsync(Tls.KeyPath);
        using X509Certificate2 second = Write("front");
        string fitting = await File.ReadAllTextAsync(Tls.KeyPath);
        await File.WriteAllTextAsync(Tls.KeyPath, key);
        await Task.Delay(TimeSpan.FromSeconds(1.1));
        Assert.Equal(first.Thumbprint, await PresentedAsync(coordinator.Host.HttpAddress));

        await File.WriteAllTextAsync(Tls.KeyPath, fitting);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (await PresentedAsync(coordinator.Host.HttpAddress) != second.Thumbprint)
        {
            await Task.Delay(50, deadline.Token);
        }

        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/health/live")).StatusCode);
    }

    [Fact]
    public async Task Start_CertificateThatCannotServe_IsRefusedWithASentence()
    {
        Write("front", notAfter: DateTimeOffset.UtcNow.AddMinutes(-1)).Dispose();
        InvalidDataException expired = await Assert.ThrowsAsync<InvalidDataException>(() => TestCoordinator.StartAsync([], change: options => options with { Tls = Tls }));
        Assert.Contains("not now", expired.Message, StringComparison.Ordinal);

        Write("front").Dispose();
        File.SetUnixFileMode(Tls.KeyPath, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        InvalidDataException open = await Assert.ThrowsAsync<InvalidDataException>(() => TestCoordinator.StartAsync([], change: options => options with { Tls = Tls }));
        Assert.Contains("0600", open.Message, StringComparison.Ordinal);

        File.SetUnixFileMode(Tls.KeyPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.WriteAllTextAsync(Tls.CertificatePath, "nothing");
        InvalidDataException malformed = await Assert.ThrowsAsync<InvalidDataException>(() => TestCoordinator.StartAsync([], change: options => options with { Tls = Tls }));
        Assert.Contains("cannot use the HTTPS certificate", malformed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handshake_OldTlsOrHttp2_IsRefused()
    {
        Write("front").Dispose();
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync([], change: options => options with { Tls = Tls });

#pragma warning disable SYSLIB0039, CA5397, CA5398 // The point is that it is refused.
        await Assert.ThrowsAnyAsync<Exception>(() => HandshakeAsync(coordinator.Host.HttpAddress, new SslClientAuthenticationOptions { EnabledSslProtocols = SslProtocols.Tls11 }));
#pragma warning restore SYSLIB0039, CA5397, CA5398
        using SslStream negotiated = await HandshakeAsync(coordinator.Host.HttpAddress, new SslClientAuthenticationOptions { ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11] });
        Assert.Equal(SslApplicationProtocol.Http11, negotiated.NegotiatedApplicationProtocol);
    }

    [Fact]
    public async Task ClientRoots_Configured_AskForACertificateBelowThem()
    {
        using X509Certificate2 server = Write("front");
        using X509Certificate2 client = SelfSigned("caller", ClientUsage), stranger = SelfSigned("stranger", ClientUsage), wrongUsage = SelfSigned("wrong", ServerUsage);
        string roots = Path.Combine(_folder, "clients.crt");
        await File.WriteAllTextAsync(roots, client.ExportCertificatePem() + "\n" + wrongUsage.ExportCertificatePem());
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync([], change: options => options with { Tls = Tls with { ClientRootsPath = roots }, RequireKeys = true });
        NewKey key = await coordinator.Host.Access!.Keys.CreateAsync(TestCoordinator.Tenant, "k", KeyScopes.Inference, null, CancellationToken.None);
        await coordinator.Host.Access.Ring.RefreshAsync(CancellationToken.None);

        async Task<HttpStatusCode> AskAsync(X509Certificate2? own)
        {
            using HttpClient http = Client(coordinator.Host.HttpAddress, server, own);
            http.DefaultRequestHeaders.Authorization = new("Bearer", key.Text);
            return (await http.GetAsync("/v1/models")).StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await AskAsync(client));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(null));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(stranger));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(wrongUsage));
    }

    private static Uri Local(Uri address) => new UriBuilder(address) { Host = "127.0.0.1" }.Uri;

    private static async Task<string> PresentedAsync(Uri address)
    {
        using SslStream stream = await HandshakeAsync(address, new SslClientAuthenticationOptions());
        return ((X509Certificate2)stream.RemoteCertificate!).Thumbprint;
    }

    private static async Task<SslStream> HandshakeAsync(Uri address, SslClientAuthenticationOptions options)
    {
        TcpClient client = await RawHttp.ConnectAsync(Local(address));
        var stream = new SslStream(client.GetStream());
        options.TargetHost = "localhost";
        options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        await stream.AuthenticateAsClientAsync(options);
        return stream;
    }

    private static HttpClient Client(Uri address, X509Certificate2 trusted, X509Certificate2? own = null)
    {
        var handler = new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is X509Certificate2 found && found.Thumbprint == trusted.Thumbprint;
        if (own is not null)
        {
            handler.SslOptions.ClientCertificates = [own];
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => own;
        }

        return new HttpClient(handler) { BaseAddress = Local(address), Timeout = TimeSpan.FromSeconds(120) };
    }

    private X509Certificate2 Write(string name, DateTimeOffset? notAfter = null)
    {
        X509Certificate2 certificate = SelfSigned(name, ServerUsage, notAfter);
        using ECDsa key = certificate.GetECDsaPrivateKey()!;
        File.WriteAllText(Tls.CertificatePath, certificate.ExportCertificatePem());
        File.WriteAllText(Tls.KeyPath, key.ExportPkcs8PrivateKeyPem());
        File.SetUnixFileMode(Tls.KeyPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return certificate;
    }

    private static X509Certificate2 SelfSigned(string name, string usage, DateTimeOffset? notAfter = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), notAfter ?? DateTimeOffset.UtcNow.AddHours(1));
    }
}
