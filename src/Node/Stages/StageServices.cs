using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Microsoft.Extensions.Logging;

namespace Lamina.Node.Stages;

/// <summary>What a node's actors share.</summary>
internal sealed record StageServices(
    TenantId Tenant,
    NodeName Node,
    StageLoader Loader,
    StageRegistry Registry,
    MemoryBudget Memory,
    LinkOptions Links,
    CertificateProvider Certificates,
    ILogger Logger)
{
    /// <summary>Renews the node's own certificate; null where nothing does.</summary>
    public LeafRenewal? Renewal { get; init; }
}
