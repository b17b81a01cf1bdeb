using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Tests.Support;

/// <summary>One tenant's authority and the certificates, right and wrong, that tests show.</summary>
internal sealed class TestCell : IDisposable
{
    public static readonly TenantId Acme = new("acme");
    public static readonly string[] Loopback = ["localhost", "127.0.0.1"];

    private readonly TestFolder _folder = new();
    private readonly List<IDisposable> _owned = [];
    private int _next;

    public TestCell(string tenant = "acme", string installation = "test.lamina")
    {
        Tenant = new TenantId(tenant);
        Authority = CertificateAuthority.Create(installation, Tenant);
    }

    public TenantId Tenant { get; }

    public CertificateAuthority Authority { get; }

    public CertificateProvider Node(string name) => Provider(PeerRole.Node, name);

    public CertificateProvider Coordinator(string name) => Provider(PeerRole.Coordinator, name);

    public CertificateProvider Provider(PeerRole role, string name)
    {
        CertificateProvider provider = CertificateProvider.FromFiles(Files(role, name));
        _owned.Add(provider);
        return provider;
    }

    public CertificateFiles Files(PeerRole role, string name, string? bundle = null, string[]? hosts = null) =>
        Authority.Issue(role, name, hosts ?? Loopback).Save(Path.Combine(_folder.Path, $"{_next++}"), bundle ?? Authority.RootPem);

    /// <summary>A leaf that <see cref="CertificateAuthority.Issue"/> would not make. Each parameter is right unless given.</summary>
    public X509Certificate2 Leaf(
        string[]? uris = null, string[]? usages = null, bool authority = false, TimeSpan? notBefore = null, TimeSpan? notAfter = null, string commonName = "a", bool noNames = false,
        X509Certificate2? issuer = null, string[]? dns = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        List<X509Extension> extensions =
        [
            new X509BasicConstraintsExtension(authority, false, 0, true),
            new X509KeyUsageExtension(authority ? X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.DigitalSignature : X509KeyUsageFlags.DigitalSignature, true),
        ];
        OidCollection oids = [];
        foreach (string usage in usages ?? ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"])
        {
            oids.Add(new Oid(usage));
        }

        if (oids.Count > 0)
        {
            extensions.Add(new X509EnhancedKeyUsageExtension(oids, false));
        }

        if (!noNames)
        {
            SubjectAlternativeNameBuilder names = new();
            foreach (string uri in uris ?? [$"spiffe://{Authority.Installation}/tenant/{Tenant}/node/a"])
            {
                names.AddUri(new Uri(uri));
            }

            foreach (string host in dns ?? ["localhost"])
            {
                names.AddDnsName(host);
            }

            names.AddIpAddress(System.Net.IPAddress.Loopback);
            extensions.Add(names.Build());
        }

        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 bare = CertificateAuthority.Sign(issuer ?? Authority.Root, key, commonName, now + (notBefore ?? TimeSpan.FromMinutes(-5)), now + (notAfter ?? TimeSpan.FromHours(1)), extensions);
        X509Certificate2 leaf = bare.CopyWithPrivateKey(key);
        _owned.Add(leaf);
        return leaf;
    }

    public void Dispose()
    {
        _owned.ForEach(o => o.Dispose());
        Authority.Dispose();
        _folder.Dispose();
    }
}
