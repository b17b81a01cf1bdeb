using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>
/// This process' certificate and the roots it trusts, re-read when the files change, so that handshakes after a rotation use the new ones without a restart.
/// Also the one place that decides whether a peer is accepted.
/// </summary>
/// <remarks>Files are compared by content, at most once a second and only when a handshake asks: no watcher to miss a renamed mount, no timer to stop.</remarks>
public sealed class CertificateProvider : IDisposable
{
    private const long CheckIntervalMs = 1000;

    private readonly CertificateFiles _files;
    private readonly TimeProvider _time;
    private readonly Lock _reload = new();
    private readonly long[] _refusals = new long[RefusalReasons.Count];
    private readonly string?[] _lastRefused = new string?[RefusalReasons.Count];
    private volatile LoadedCertificates _loaded;
    private long _checkedAt;
    private int _version;

    private CertificateProvider(CertificateFiles files, TimeProvider time)
    {
        _files = files;
        _time = time;
        _loaded = LoadedCertificates.Read(files, time.GetUtcNow().UtcDateTime);
        if (_loaded.DenyProblem is { } problem)
        {
            // Whom an operator refuses by a slip of the pen would be let in.
            throw new InvalidDataException(problem);
        }

        _checkedAt = Environment.TickCount64;
    }

    /// <summary>Reads PEM files: leaf certificate, its key (mode 0600), and a bundle of trusted roots. Throws <see cref="InvalidDataException"/> with one sentence.</summary>
    public static CertificateProvider FromFiles(string certificatePath, string keyPath, string trustBundlePath) =>
        new(new CertificateFiles(certificatePath, keyPath, trustBundlePath), TimeProvider.System);

    public static CertificateProvider FromFiles(CertificateFiles files, TimeProvider? time = null) => new(files, time ?? TimeProvider.System);

    /// <summary>Identity in the own certificate.</summary>
    public PeerIdentity Self => _loaded.Identity;

    /// <summary>End of the own certificate's validity: what a dashboard warns about.</summary>
    public DateTimeOffset NotAfter => _loaded.Certificate.NotAfter;

    /// <summary>Why the changed files were not taken over; null when all is well. The certificate read before stays in use.</summary>
    public string? ReloadProblem { get; private set; }

    /// <summary>Counts the readings taken over: who compares it with the one it saw last knows that the deny-list may differ.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Null when the peer is accepted, else the reason: chain, validity, usage, number of URIs, installation, tenant, role, deny-list.</summary>
    public string? Refuse(X509Certificate2? certificate, PeerRole[] allowedRoles, bool peerIsServer, out PeerIdentity? identity) =>
        Check(certificate, allowedRoles, peerIsServer, out identity)?.Text;

    /// <summary>Peers refused so far for <paramref name="reason"/>; the same count is exported as <c>mtls_rejected_total</c>.</summary>
    public long Refusals(RefusalReason reason) => Interlocked.Read(ref _refusals[(int)reason]);

    /// <summary>Whom the certificate named that was refused last for the reason, true or not; null where none showed one that names a peer.</summary>
    public string? LastRefused(RefusalReason reason) => Volatile.Read(ref _lastRefused[(int)reason]);

    /// <summary>Compares the files with what is in use and takes them over when they differ and are sound. Whether they were.</summary>
    public bool Reload()
    {
        lock (_reload)
        {
            _checkedAt = Environment.TickCount64;
            try
            {
                if (CryptographicOperations.FixedTimeEquals(LoadedCertificates.ReadFingerprint(_files), _loaded.Fingerprint))
                {
                    return false;
                }

                LoadedCertificates next = LoadedCertificates.Read(_files, _time.GetUtcNow().UtcDateTime);
                if (next.Identity != _loaded.Identity)
                {
                    throw new InvalidDataException($"certificate '{_files.CertificatePath}' now names {next.Identity}, this process runs as {_loaded.Identity}");
                }

                // The replaced certificate is left to the collector: handshakes under way still use it.
                _loaded = next;
                Interlocked.Increment(ref _version);
                ReloadProblem = next.DenyProblem;
                return true;
            }
            catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                // Certificate and key are two files: a reader between their renames sees a pair that does not fit, and tries again later.
                ReloadProblem = e.Message;
                return ReloadDenied();
            }
        }
    }

    /// <summary>Whom the operator refuses is refused even while the certificate beside the list cannot be used.</summary>
    private bool ReloadDenied()
    {
        try
        {
            DenyList denied = DenyList.Read(_files.DenyListPath);
            if (denied.Entries.SetEquals(_loaded.Trust.Denied))
            {
                return false;
            }

            _loaded = _loaded.With(denied);
            Interlocked.Increment(ref _version);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>What the next handshake uses.</summary>
    internal LoadedCertificates Current
    {
        get
        {
            if (Environment.TickCount64 - Interlocked.Read(ref _checkedAt) >= CheckIntervalMs)
            {
                Reload();
            }

            return _loaded;
        }
    }

    internal Refusal? Check(X509Certificate2? certificate, ReadOnlySpan<PeerRole> allowedRoles, bool peerIsServer, out PeerIdentity? identity)
    {
        LoadedCertificates current = Current;
        identity = null;
        Refusal? refusal = certificate is null
            ? new Refusal(RefusalReason.NoCertificate, "the peer showed no certificate")
            : CertificateRules.Check(certificate, current.Trust, current.Identity, allowedRoles, peerIsServer, _time.GetUtcNow().UtcDateTime, out identity);
        if (refusal is { } refused)
        {
            // Read again, because a certificate that is refused need not have been read so far.
            Count(refused.Reason, certificate is not null && CertificateRules.ReadIdentity(certificate, out PeerIdentity? claimed) is null ? claimed : null);
        }

        return refusal;
    }

    internal bool IsDenied(X509Certificate2 certificate, PeerIdentity peer)
    {
        bool denied = CertificateRules.IsDenied(certificate, peer, _loaded.Trust);
        if (denied)
        {
            Count(RefusalReason.Denied, peer);
        }

        return denied;
    }

    /// <param name="peer">Whom its certificate names.</param>
    internal void Count(RefusalReason reason, PeerIdentity? peer = null)
    {
        Volatile.Write(ref _lastRefused[(int)reason], peer?.Uri);
        Interlocked.Increment(ref _refusals[(int)reason]);
        ClusterMetrics.MtlsRejected.Add(1, new KeyValuePair<string, object?>("reason", reason.Label()));
    }

    public void Dispose() => _loaded.Certificate.Dispose();
}
