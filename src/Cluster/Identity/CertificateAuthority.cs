using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

/// <summary>A tenant's root: ECDSA P-256, and leaves directly below it. Owns the root's private key while alive.</summary>
public sealed class CertificateAuthority : IDisposable
{
    public static readonly TimeSpan DefaultLeafLifetime = TimeSpan.FromHours(24);
    public static readonly TimeSpan DefaultRootLifetime = TimeSpan.FromDays(5 * 365);

    /// <summary>How far a certificate reaches back before it was made: clocks of a cell's machines may differ by that much.</summary>
    internal static readonly TimeSpan Backdating = TimeSpan.FromMinutes(10);

    private readonly X509Certificate2 _root;
    private readonly TimeProvider _time;

    private CertificateAuthority(string installation, TenantId tenant, X509Certificate2 root, TimeProvider? time)
    {
        Installation = installation;
        Tenant = tenant;
        _root = root;
        _time = time ?? TimeProvider.System;
    }

    public string Installation { get; }

    public TenantId Tenant { get; }

    public string RootPem => _root.ExportCertificatePem();

    internal string RootKeyPem
    {
        get
        {
            using ECDsa key = _root.GetECDsaPrivateKey()!;
            return key.ExportPkcs8PrivateKeyPem();
        }
    }

    public static CertificateAuthority Create(string installation, TenantId tenant, TimeSpan? lifetime = null, TimeProvider? time = null)
    {
        if (!Names.IsValidInstallation(installation))
        {
            throw new ArgumentException($"installation '{installation}' is not a valid name: use lower-case labels of letters, digits and inner hyphens, joined by dots");
        }

        Names.Require(tenant.Value, "tenant");
        byte[] serial = NewSerial();
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        // The serial in the name keeps old and new root apart while both are trusted.
        X500DistinguishedNameBuilder name = new();
        name.AddCommonName($"Lamina root {Convert.ToHexStringLower(serial.AsSpan(0, 4))}");
        name.AddOrganizationalUnitName(tenant.Value);
        name.AddOrganizationName(installation.Length <= 64 ? installation : installation[..64]);
        CertificateRequest request = new(name.Build(), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(X509BasicConstraintsExtension.CreateForCertificateAuthority(0));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        X509SubjectKeyIdentifierExtension keyId = new(request.PublicKey, critical: false);
        request.CertificateExtensions.Add(keyId);
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(keyId));
        DateTimeOffset now = (time ?? TimeProvider.System).GetUtcNow();
        using X509Certificate2 bare = request.Create(request.SubjectName, X509SignatureGenerator.CreateForECDsa(key), now - Backdating, now + (lifetime ?? DefaultRootLifetime), serial);
        return new CertificateAuthority(installation, tenant, bare.CopyWithPrivateKey(key), time);
    }

    public static CertificateAuthority Open(string installation, TenantId tenant, string certificatePath, string keyPath, TimeProvider? time = null) =>
        new(installation, tenant, X509Certificate2.CreateFromPemFile(certificatePath, keyPath), time);

    public static CertificateAuthority FromPem(string installation, TenantId tenant, string certificatePem, string keyPem, TimeProvider? time = null) =>
        new(installation, tenant, X509Certificate2.CreateFromPem(certificatePem, keyPem), time);

    /// <summary>Issues a leaf for both sides of a connection.</summary>
    /// <param name="hosts">DNS names and IP addresses under which the process is reached.</param>
    public IssuedLeaf Issue(PeerRole role, string name, IReadOnlyCollection<string> hosts, TimeSpan? lifetime = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new IssuedLeaf(Issue(role, name, hosts, key, lifetime), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>The same for a key that another process holds: the certificate alone, as PEM.</summary>
    internal string Issue(PeerRole role, string name, IReadOnlyCollection<string> hosts, ECDsa key, TimeSpan? lifetime = null)
    {
        SubjectAlternativeNameBuilder names = new();
        names.AddUri(new Uri(new PeerIdentity(Installation, Tenant, role, Names.Require(name, PeerIdentity.RoleName(role))).Uri));
        foreach (string host in hosts.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (IPAddress.TryParse(host, out IPAddress? address))
            {
                names.AddIpAddress(address);
            }
            else
            {
                names.AddDnsName(Uri.CheckHostName(host) == UriHostNameType.Dns ? host : throw new ArgumentException($"'{host}' is neither a DNS name nor an IP address"));
            }
        }

        X509BasicConstraintsExtension constraints = X509BasicConstraintsExtension.CreateForEndEntity(critical: true);
        OidCollection usages = [new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")];
        DateTimeOffset now = _time.GetUtcNow();
        using X509Certificate2 leaf = Sign(_root, key, name, now - Backdating, now + (lifetime ?? DefaultLeafLifetime),
            [constraints, new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true), new X509EnhancedKeyUsageExtension(usages, critical: false), names.Build()]);
        return leaf.ExportCertificatePem();
    }

    /// <summary>Signs what it is given: the one place that builds a leaf, so that tests can also build wrong ones.</summary>
    internal static X509Certificate2 Sign(X509Certificate2 issuer, ECDsa key, string commonName, DateTimeOffset notBefore, DateTimeOffset notAfter, IEnumerable<X509Extension> extensions)
    {
        X500DistinguishedNameBuilder subject = new();
        subject.AddCommonName(commonName);
        CertificateRequest request = new(subject.Build(), key, HashAlgorithmName.SHA256);
        foreach (X509Extension extension in extensions)
        {
            request.CertificateExtensions.Add(extension);
        }

        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(issuer, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        DateTimeOffset issuerStart = issuer.NotBefore, issuerEnd = issuer.NotAfter;
        return request.Create(issuer, notBefore < issuerStart ? issuerStart : notBefore, notAfter > issuerEnd ? issuerEnd : notAfter, NewSerial());
    }

    /// <summary>The root with its key, for tests that sign what <see cref="Issue"/> refuses to.</summary>
    internal X509Certificate2 Root => _root;

    /// <summary>Writes the root's certificate and its key (mode 0600).</summary>
    public void Save(string certificatePath, string keyPath)
    {
        PrivateFile.Write(keyPath, RootKeyPem, secret: true);
        PrivateFile.Write(certificatePath, RootPem, secret: false);
    }

    public void Dispose() => _root.Dispose();

    // Positive, 127 random bits (RFC 5280, 4.1.2.2).
    private static byte[] NewSerial()
    {
        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return serial;
    }
}

/// <summary>PEM texts of a new leaf and its key.</summary>
public sealed record IssuedLeaf(string CertificatePem, string KeyPem)
{
    /// <summary>Writes a process' folder: certificate, key (mode 0600) and the roots it trusts. Roots first, then key, then certificate: no moment accepts less than before.</summary>
    public CertificateFiles Save(string folder, string trustBundlePem)
    {
        PrivateFile.CreateFolder(folder);
        CertificateFiles files = CertificateFiles.In(folder);
        PrivateFile.Write(files.TrustBundlePath, trustBundlePem, secret: false);
        PrivateFile.Write(files.KeyPath, KeyPem, secret: true);
        PrivateFile.Write(files.CertificatePath, CertificatePem, secret: false);
        return files;
    }
}
