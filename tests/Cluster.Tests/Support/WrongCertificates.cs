using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;

namespace Lamina.Cluster.Tests.Support;

/// <summary>Every certificate that no port of a cell may accept, with the reason under which it must be counted; null stands for none at all.</summary>
internal static class WrongCertificates
{
    public static readonly string[] Names =
    [
        "none", "expired", "not yet valid", "foreign authority", "other tenant", "other installation", "server usage only", "client usage only", "no usage", "authority as leaf",
        "two identities", "common name only", "self-signed", "below an intermediate", "query in the URI", "upper case in the URI", "unknown role",
    ];

    /// <param name="peerIsServer">Which usage the certificate must have and, when wrong, lacks.</param>
    public static (X509Certificate2? Certificate, RefusalReason Reason) Make(string name, TestCell cell, TestCell foreign, bool peerIsServer)
    {
        const string prefix = "spiffe://test.lamina/tenant/";
        const string server = "1.3.6.1.5.5.7.3.1", client = "1.3.6.1.5.5.7.3.2";
        return name switch
        {
            "none" => (null, RefusalReason.NoCertificate),
            "expired" => (cell.Leaf(notBefore: TimeSpan.FromMinutes(-9), notAfter: TimeSpan.FromMinutes(-1)), RefusalReason.Expired),
            "not yet valid" => (cell.Leaf(notBefore: TimeSpan.FromMinutes(5)), RefusalReason.NotYetValid),
            "foreign authority" => (foreign.Leaf(uris: [prefix + "acme/node/a"]), RefusalReason.UntrustedChain),
            "other tenant" => (cell.Leaf(uris: [prefix + "globex/node/a"]), RefusalReason.Tenant),
            "other installation" => (cell.Leaf(uris: ["spiffe://elsewhere/tenant/acme/node/a"]), RefusalReason.Installation),
            "server usage only" => (cell.Leaf(usages: [server]), RefusalReason.Usage),
            "client usage only" => (cell.Leaf(usages: [client]), RefusalReason.Usage),
            "no usage" => (cell.Leaf(usages: []), RefusalReason.Usage),
            "authority as leaf" => (cell.Leaf(authority: true), RefusalReason.AuthorityAsLeaf),
            "two identities" => (cell.Leaf(uris: [prefix + "acme/node/a", prefix + "acme/node/b"]), RefusalReason.IdentityUri),
            "common name only" => (cell.Leaf(noNames: true), RefusalReason.IdentityUri),
            "self-signed" => (SelfSigned(foreign), RefusalReason.UntrustedChain),
            "below an intermediate" => (BelowIntermediate(cell), RefusalReason.UntrustedChain),
            "query in the URI" => (cell.Leaf(uris: [prefix + "acme/node/a?x"]), RefusalReason.IdentityUri),
            "upper case in the URI" => (cell.Leaf(uris: [prefix + "acme/node/A"]), RefusalReason.IdentityUri),
            "unknown role" => (cell.Leaf(uris: [prefix + "acme/admin/a"]), RefusalReason.IdentityUri),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
        };
    }

    /// <summary>Whether the wrong usage is wrong on this side: "server usage only" is right for a server.</summary>
    public static bool AppliesTo(string name, bool peerIsServer) => name != (peerIsServer ? "server usage only" : "client usage only") && !(peerIsServer && name == "none");

    private static X509Certificate2 SelfSigned(TestCell any)
    {
        using System.Security.Cryptography.ECDsa key = System.Security.Cryptography.ECDsa.Create();
        CertificateRequest request = new("CN=a", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddUri(new Uri("spiffe://test.lamina/tenant/acme/node/a"));
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new("1.3.6.1.5.5.7.3.1"), new("1.3.6.1.5.5.7.3.2")], false));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddHours(1));
    }

    // The root's path length of 0 forbids it, and so does our rule of two certificates.
    private static X509Certificate2 BelowIntermediate(TestCell cell) => cell.Leaf(issuer: cell.Leaf(authority: true, commonName: "middle"));
}
