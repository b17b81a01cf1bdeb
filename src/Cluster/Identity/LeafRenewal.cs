using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>
/// Renews this process' own certificate before it ends: asks for a new one with a new key, checks what it is given, and writes both beside the old ones, which
/// <see cref="CertificateProvider"/> then takes over by itself. Not thread-safe.
/// </summary>
public sealed class LeafRenewal(CertificateFiles files, CertificateProvider certificates, TimeProvider time) : IDisposable
{
    /// <summary>A request that nobody answered is made again after that.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private ECDsa? _pending;
    private DateTimeOffset _askedAt = DateTimeOffset.MinValue;

    /// <summary>True when less than a third of the certificate's life is left.</summary>
    public bool IsDue
    {
        get
        {
            X509Certificate2 own = certificates.Current.Certificate;
            return IsDueAt(own.NotBefore, own.NotAfter, time.GetUtcNow());
        }
    }

    /// <summary>The present certificate and a signing request (PEM) for a key made for it, to be sent to whoever may issue; null when it is not due or was asked for a moment ago.</summary>
    public (string CertificatePem, string RequestPem)? Ask()
    {
        DateTimeOffset now = time.GetUtcNow();
        if (!IsDue || now - _askedAt < s_patience)
        {
            return null;
        }

        _askedAt = now;
        _pending?.Dispose();
        _pending = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={certificates.Self.Name}", _pending, HashAlgorithmName.SHA256);
        return (certificates.Current.Certificate.ExportCertificatePem(), request.CreateSigningRequestPem());
    }

    /// <summary>Takes the answer over, or throws <see cref="InvalidDataException"/> or <see cref="IOException"/> with one sentence.</summary>
    public void Take(string certificatePem)
    {
        if (_pending is null)
        {
            throw new InvalidDataException("a certificate came that was not asked for");
        }

        using X509Certificate2 certificate = Parse(certificatePem);
        using ECDsa? key = certificate.GetECDsaPublicKey();
        if (key is null || !key.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(_pending.ExportSubjectPublicKeyInfo()))
        {
            throw new InvalidDataException("the certificate that came is for another key than was asked for");
        }

        Require(certificate);
        Save(certificatePem, _pending.ExportPkcs8PrivateKeyPem());
        _pending.Dispose();
        _pending = null;
    }

    /// <summary>For a process that has its authority at hand.</summary>
    public void Take(IssuedLeaf leaf)
    {
        using X509Certificate2 certificate = Parse(leaf.CertificatePem);
        Require(certificate);
        Save(leaf.CertificatePem, leaf.KeyPem);
    }

    public void Dispose() => _pending?.Dispose();

    internal static bool IsDueAt(DateTimeOffset notBefore, DateTimeOffset notAfter, DateTimeOffset now) => (notAfter - now) * 3 < notAfter - notBefore;

    private static X509Certificate2 Parse(string pem)
    {
        try
        {
            return X509Certificate2.CreateFromPem(pem);
        }
        catch (CryptographicException e)
        {
            throw new InvalidDataException($"what came is no certificate: {e.Message}");
        }
    }

    /// <summary>What peers would refuse is not taken over.</summary>
    private void Require(X509Certificate2 certificate)
    {
        LoadedCertificates current = certificates.Current;
        Refusal? refusal = CertificateRules.Check(certificate, current.Trust, current.Identity, [current.Identity.Role], peerIsServer: true, time.GetUtcNow().UtcDateTime, out PeerIdentity? identity);
        if (refusal is not null || identity != current.Identity)
        {
            throw new InvalidDataException($"the certificate that came cannot be used: {refusal?.Text ?? $"it names {identity}"}");
        }
    }

    private void Save(string certificatePem, string keyPem)
    {
        PrivateFile.Write(files.KeyPath, keyPem, secret: true);
        PrivateFile.Write(files.CertificatePath, certificatePem, secret: false);
        certificates.Reload();
    }
}
