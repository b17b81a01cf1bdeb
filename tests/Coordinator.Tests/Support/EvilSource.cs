using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>An HTTPS server of its own certificate that answers each path as the test scripts it, byte by byte if need be.</summary>
internal sealed class EvilSource : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly X509Certificate2 _certificate;
    private readonly CancellationTokenSource _ending = new();
    private readonly Func<string, Stream, CancellationToken, Task> _answer;

    public EvilSource(string folder, Func<string, Stream, CancellationToken, Task> answer)
    {
        _answer = answer;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=evil", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        _certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        AuthorityPath = Path.Combine(folder, "authority.pem");
        File.WriteAllText(AuthorityPath, made.ExportCertificatePem());
        _listener.Start();
        _ = AcceptAsync();
    }

    public string AuthorityPath { get; }

    /// <summary>Paths asked for, with the authorization each came with.</summary>
    public List<string> Requests { get; } = [];

    public Uri Address(string path) => new($"https://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/{path}");

    /// <summary>Writes a response of these header lines and this body.</summary>
    public static async Task WriteAsync(Stream stream, string status, string headers, ReadOnlyMemory<byte> body)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\n{headers}\r\n"));
        await stream.WriteAsync(body);
    }

    public void Dispose()
    {
        _ending.Cancel();
        _listener.Dispose();
        _certificate.Dispose();
        _ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_ending.Token), _ending.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task ServeAsync(TcpClient client, CancellationToken ending)
    {
        try
        {
            using (client)
            {
                await using var tls = new SslStream(client.GetStream());
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, ending);
                using var reader = new StreamReader(tls, Encoding.ASCII, leaveOpen: true);
                string first = await reader.ReadLineAsync(ending) ?? "";
                string? authorization = null;
                while (await reader.ReadLineAsync(ending) is { Length: > 0 } line)
                {
                    authorization = line.StartsWith("Authorization:", StringComparison.OrdinalIgnoreCase) ? line[15..] : authorization;
                }

                string path = first.Split(' ')[1].TrimStart('/');
                lock (Requests)
                {
                    Requests.Add(authorization is null ? path : $"{path} {authorization}");
                }

                await _answer(path, tls, ending);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or System.Security.Authentication.AuthenticationException or ObjectDisposedException)
        {
        }
    }
}
