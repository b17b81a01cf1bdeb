using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Identity;

/// <summary>A refusal: its class for the counter, and one clause for the log and the peer's operator.</summary>
internal readonly record struct Refusal(RefusalReason Reason, string Text);

/// <summary>What a peer's certificate must satisfy. Pure: certificate, roots, own identity and time come in, a verdict comes out.</summary>
internal static class CertificateRules
{
    private const string SubjectAlternativeNames = "2.5.29.17";
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>Null when <paramref name="certificate"/> may speak for a peer of <paramref name="self"/>'s cell.</summary>
    public static Refusal? Check(X509Certificate2 certificate, TrustedRoots trust, PeerIdentity self, ReadOnlySpan<PeerRole> allowedRoles, bool peerIsServer, DateTime utcNow, out PeerIdentity? identity)
    {
        identity = null;
        if (CheckLeaf(certificate, peerIsServer, utcNow) is { } leaf)
        {
            return leaf;
        }

        if (CheckChain(certificate, trust.Roots, utcNow) is { } chain)
        {
            return chain;
        }

        if (ReadIdentity(certificate, out PeerIdentity? claimed) is { } uri)
        {
            return uri;
        }

        if (claimed!.Installation != self.Installation)
        {
            return new Refusal(RefusalReason.Installation, $"certificate is for installation '{claimed.Installation}', this is '{self.Installation}'");
        }

        if (claimed.Tenant != self.Tenant)
        {
            return new Refusal(RefusalReason.Tenant, $"certificate is for tenant '{claimed.Tenant}', this is a process of '{self.Tenant}'");
        }

        if (!allowedRoles.Contains(claimed.Role))
        {
            return new Refusal(RefusalReason.Role, $"role {PeerIdentity.RoleName(claimed.Role)} is not allowed here");
        }

        if (IsDenied(certificate, claimed, trust))
        {
            return new Refusal(RefusalReason.Denied, $"certificate {certificate.SerialNumber} of {claimed.Uri} is on the deny-list");
        }

        identity = claimed;
        return null;
    }

    public static bool IsDenied(X509Certificate2 certificate, PeerIdentity peer, TrustedRoots trust) =>
        trust.Denied.Contains(peer.Uri) || trust.Denied.Contains(DenyList.Serial(certificate.SerialNumber));

    private static Refusal? CheckLeaf(X509Certificate2 certificate, bool peerIsServer, DateTime utcNow)
    {
        if (utcNow > certificate.NotAfter.ToUniversalTime())
        {
            return new Refusal(RefusalReason.Expired, $"certificate expired at {certificate.NotAfter.ToUniversalTime():u}");
        }

        if (utcNow < certificate.NotBefore.ToUniversalTime())
        {
            return new Refusal(RefusalReason.NotYetValid, $"certificate is not valid before {certificate.NotBefore.ToUniversalTime():u} (compare the clocks)");
        }

        bool usage = false;
        string wanted = peerIsServer ? ServerAuthentication : ClientAuthentication;
        foreach (X509Extension extension in certificate.Extensions)
        {
            if (extension is X509BasicConstraintsExtension { CertificateAuthority: true })
            {
                return new Refusal(RefusalReason.AuthorityAsLeaf, "a certificate authority's certificate does not identify a peer");
            }

            // A certificate without the extension is good for everything in X.509; here the usage must be stated.
            usage |= extension is X509EnhancedKeyUsageExtension enhanced && enhanced.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == wanted);
        }

        return usage ? null : new Refusal(RefusalReason.Usage, $"certificate lacks the extended key usage {(peerIsServer ? "server" : "client")} authentication");
    }

    private static Refusal? CheckChain(X509Certificate2 certificate, X509Certificate2Collection roots, DateTime utcNow)
    {
        using X509Chain chain = new() { ChainPolicy = ChainPolicy(roots) };
        chain.ChainPolicy.VerificationTime = utcNow;
        bool trusted = chain.Build(certificate);
        int length = chain.ChainElements.Count;
        string status = string.Join(", ", chain.ChainStatus.Select(s => s.Status));
        foreach (X509ChainElement element in chain.ChainElements)
        {
            element.Certificate.Dispose();
        }

        return !trusted ? new Refusal(RefusalReason.UntrustedChain, $"certificate does not end in a trusted root ({status})")
            : length != 2 ? new Refusal(RefusalReason.UntrustedChain, $"certificate must stand directly below a root, its chain has {length} certificates")
            : null;
    }

    /// <summary>The cell's own roots only; the system's never count, and nothing is fetched from the network.</summary>
    public static X509ChainPolicy ChainPolicy(X509Certificate2Collection roots)
    {
        X509ChainPolicy policy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(roots);
        return policy;
    }

    public static Refusal? ReadIdentity(X509Certificate2 certificate, out PeerIdentity? identity)
    {
        identity = null;
        List<string> uris;
        try
        {
            uris = ReadUris(certificate);
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            return new Refusal(RefusalReason.IdentityUri, "subject alternative names cannot be read");
        }

        if (uris.Count != 1)
        {
            return new Refusal(RefusalReason.IdentityUri, $"certificate must name exactly one URI, it names {uris.Count}");
        }

        return PeerIdentity.TryParse(uris[0], out identity)
            ? null
            : new Refusal(RefusalReason.IdentityUri, "the certificate's URI is not of the form spiffe://installation/tenant/name/role/name");
    }

    /// <summary>URIs among the subject alternative names: GeneralNames is a sequence in which context tag 6 is a URI (RFC 5280, 4.2.1.6).</summary>
    private static List<string> ReadUris(X509Certificate2 certificate)
    {
        List<string> uris = [];
        foreach (X509Extension extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != SubjectAlternativeNames)
            {
                continue;
            }

            AsnReader outer = new(extension.RawData, AsnEncodingRules.DER);
            AsnReader names = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            while (names.HasData)
            {
                Asn1Tag tag = names.PeekTag();
                if (tag is { TagClass: TagClass.ContextSpecific, TagValue: 6 })
                {
                    uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, tag));
                }
                else
                {
                    names.ReadEncodedValue();
                }
            }
        }

        return uris;
    }
}

/// <summary>A cell's trusted roots (one, or old and new while rotating) and the peers that it refuses all the same, by URI or serial number.</summary>
internal sealed record TrustedRoots(X509Certificate2Collection Roots, IReadOnlySet<string> Denied);
