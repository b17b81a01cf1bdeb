namespace Lamina.Cluster.Identity;

/// <summary>Why a peer was refused while authenticating; the label of <c>mtls_rejected_total</c>.</summary>
public enum RefusalReason
{
    NoCertificate, UntrustedChain, Expired, NotYetValid, Usage, AuthorityAsLeaf, IdentityUri, Installation, Tenant, Role, Denied, Address, Handshake, Deadline, Capacity, Protocol,

    /// <summary>The certificate is good, and the peer claims to be or to do what it does not say.</summary>
    Claim,
}

public static class RefusalReasons
{
    private static readonly string[] s_labels =
    [
        "no_certificate", "untrusted_chain", "expired", "not_yet_valid", "usage", "authority_as_leaf", "identity_uri", "installation", "tenant", "role", "denied",
        "address", "handshake", "deadline", "capacity", "protocol", "claim",
    ];

    internal static int Count => s_labels.Length;

    public static string Label(this RefusalReason reason) => s_labels[(int)reason];
}
