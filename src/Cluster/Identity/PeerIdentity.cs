using System.Diagnostics.CodeAnalysis;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

public enum PeerRole { Coordinator = 0, Node = 1 }

/// <summary>Who a certificate speaks for: <c>spiffe://{installation}/tenant/{tenant}/{role}/{name}</c>.</summary>
public sealed record PeerIdentity(string Installation, TenantId Tenant, PeerRole Role, string Name)
{
    private const string Scheme = "spiffe://";

    public string Uri => $"{Scheme}{Installation}/tenant/{Tenant}/{RoleName(Role)}/{Name}";

    public override string ToString() => Uri;

    public static string RoleName(PeerRole role) => role == PeerRole.Coordinator ? "coordinator" : "node";

    /// <summary>Strict: exactly the form above, every part a valid name; no escapes, query, port or trailing slash.</summary>
    public static bool TryParse(string uri, [NotNullWhen(true)] out PeerIdentity? identity)
    {
        identity = null;
        if (!uri.StartsWith(Scheme, StringComparison.Ordinal))
        {
            return false;
        }

        string[] parts = uri[Scheme.Length..].Split('/');
        if (parts is not [var installation, "tenant", var tenant, ("coordinator" or "node") and var role, var name]
            || !Names.IsValidInstallation(installation) || !Names.IsValid(tenant) || !Names.IsValid(name))
        {
            return false;
        }

        identity = new PeerIdentity(installation, new TenantId(tenant), role == "node" ? PeerRole.Node : PeerRole.Coordinator, name);
        return true;
    }
}
