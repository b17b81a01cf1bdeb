using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Identity;

public enum PeerRole { Coordinator = 0, Node = 1 }

/// <summary>Who a certificate speaks for: <c>spiffe://{installation}/tenant/{tenant}/{role}/{name}</c>.</summary>
public sealed record PeerIdentity(string Installation, TenantId Tenant, PeerRole Role, string Name)
{
    public string Uri => $"spiffe://{Installation}/tenant/{Tenant}/{(Role == PeerRole.Coordinator ? "coordinator" : "node")}/{Name}";
}
