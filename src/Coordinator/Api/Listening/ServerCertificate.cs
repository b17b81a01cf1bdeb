using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Listening;

/// <summary>The certificate of the HTTPS listeners, read again when its files change, so that handshakes after a rotation use the new one.</summary>
/// <remarks>Files are compared by content, at most once a second and only when a handshake asks, as those of the cells are.</remarks>
internal sealed class ServerCertificate
{
    private const int MaxFileBytes = 1 << 20;
    private const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly TlsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _reading = new();
    private volatile Loaded _loaded;
    private long _readAt;

    private ServerCertificate(TlsOptions options, TimeProvider time, ILogger logger)
    {
        _options = options;
        _time = time;
        _logger = logger;
        _loaded = Read();
        _readAt = time.GetTimestamp();
    }

    private sealed record Loaded(byte[] Fingerprint, SslServerAuthenticationOptions Handshake, DateTimeOffset NotAfter);

    /// <summary>Throws <see cref="InvalidDataException"/> with one sentence.</summary>
    public static ServerCertificate Open(TlsOptions options, TimeProvider time, ILogger logger) => new(options, time, logger);

    /// <summary>When the certificate in use ends.</summary>
    public DateTimeOffset NotAfter => _loaded.NotAfter;

    /// <summary>What the next handshake uses. Files that cannot be used leave the last ones in place.</summary>
    public SslServerAuthenticationOptions Current()
    {
        lock (_reading)
        {
            if (_time.GetElapsedTime(_readAt) >= s_interval)
            {
                _readAt = _time.GetTimestamp();
                TryReload();
            }
        }

        return _loaded.Handshake;
    }

    private void TryReload()
    {
        try
        {
            if (!_loaded.Fingerprint.AsSpan().SequenceEqual(Fingerprint()))
            {
                _loaded = Read();
                _logger.LogInformation("the HTTPS certificate was read anew");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            _logger.LogWarning("the HTTPS certificate stays as it was: {Problem}", e.Message);
        }
    }

    private Loaded Read()
    {
        StateFiles.RequireOwnerOnly(_options.KeyPath);
        byte[] fingerprint = Fingerprint();
        try
        {
            X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(_options.CertificatePath, _options.KeyPath);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(_options.CertificatePath);
            DateTimeOffset now = _time.GetUtcNow();
            if (certificate.NotAfter.ToUniversalTime() <= now || certificate.NotBefore.ToUniversalTime() > now)
            {
                throw new InvalidDataException($"the certificate '{_options.CertificatePath}' is valid from {certificate.NotBefore:u} to {certificate.NotAfter:u}, not now");
            }

            var handshake = new SslServerAuthenticationOptions
            {
                ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ApplicationProtocols = [SslApplicationProtocol.Http11],
                AllowRenegotiation = false,
            };
            if (_options.ClientRootsPath is { } path)
            {
                handshake.ClientCertificateRequired = true;
                handshake.RemoteCertificateValidationCallback = ClientCheck(path);
            }

            return new Loaded(fingerprint, handshake, certificate.NotAfter);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"cannot use the HTTPS certificate '{_options.CertificatePath}' with key '{_options.KeyPath}': {e.Message}");
        }
    }

    private static RemoteCertificateValidationCallback ClientCheck(string path)
    {
        var roots = new X509Certificate2Collection();
        roots.ImportFromPemFile(path);
        return (_, certificate, sent, _) =>
        {
            if (certificate is not X509Certificate2 client)
            {
                return false;
            }

            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.CustomTrustStore.AddRange(roots);
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            chain.ChainPolicy.DisableCertificateDownloads = true;
            chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientUsage));
            chain.ChainPolicy.ExtraStore.AddRange(sent?.ChainPolicy.ExtraStore ?? []);
            return chain.Build(client);
        };
    }

    private byte[] Fingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in new[] { _options.CertificatePath, _options.KeyPath, _options.ClientRootsPath }.OfType<string>())
        {
            var file = new FileInfo(path);
            byte[] content = !file.Exists ? throw new InvalidDataException($"the file '{path}' does not exist")
                : file.Length > MaxFileBytes ? throw new InvalidDataException($"the file '{path}' has {file.Length} bytes, at most {MaxFileBytes} are read")
                : File.ReadAllBytes(path);
            hash.AppendData(BitConverter.GetBytes(content.Length));
            hash.AppendData(content);
            CryptographicOperations.ZeroMemory(content);
        }

        return hash.GetHashAndReset();
    }
}
