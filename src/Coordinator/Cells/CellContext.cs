using System.Collections.Concurrent;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>What a cell's actors work with.</summary>
internal sealed record CellContext(
    TenantId Tenant, string Name, ModelStore Store, CertificateProvider Certificates, LinkOptions Links, DeploymentBoard Board, ILogger Logger, CancellationToken Stopping)
{
    private static readonly TimeSpan s_warmUpDeadline = TimeSpan.FromSeconds(60);

    /// <summary>Where nodes pull blobs.</summary>
    public required Endpoint BlobEndpoint { get; init; }

    /// <summary>The models that are to be deployed, by deployment.</summary>
    public ConcurrentDictionary<DeploymentId, ModelOptions> Models { get; } = new();

    /// <summary>Deployments whose owner is in this process.</summary>
    public ConcurrentDictionary<DeploymentId, bool> Owned { get; } = new();

    /// <summary>What each deployment's owner showed last.</summary>
    public ConcurrentDictionary<DeploymentId, DeploymentProtocol.DeploymentShown> Shown { get; } = new();

    /// <summary>True before this coordinator closes its links: what it then sees of pipelines says nothing about them, and whoever owns a deployment next decides.</summary>
    public bool IsEnding { get => Volatile.Read(ref _isEnding); set => Volatile.Write(ref _isEnding, value); }

    private bool _isEnding;

    public ConcurrentDictionary<DeploymentId, GenerationRouter> Routers { get; } = new();

    public GenerationRouter RouterOf(DeploymentId deployment) => Routers.GetOrAdd(deployment, id => new GenerationRouter(new GenerationLimits(), id.Value));

    /// <summary>Whether a node that holds a stage of the epoch is about to leave the cell.</summary>
    public bool IsLeaving(EpochState? epoch) => epoch?.Stages.Any(stage => Board.Nodes.Any(node => node.Leaving && node.Name == stage.Plan.Node)) == true;

    /// <summary>A small blob from another coordinator.</summary>
    public Task<byte[]> FetchAsync(Endpoint source, BlobDigest digest, long limit) => PeerBlob.FetchAsync(source, digest, limit, Tenant, Links, Certificates, Stopping);

    /// <summary>
    /// Dials the heads of an epoch and lets each run a short generation, so that an epoch serves only once its whole pipeline has computed, and the first caller
    /// does not wait for cold code; another coordinator's own links need no such run. Throws <see cref="LinkClosedException"/> when one cannot be reached or fails; then none stays open.
    /// </summary>
    /// <param name="warmUp">Lets each head run a short generation, or take a text where the model is an encoder.</param>
    public async Task<IReadOnlyList<HeadLink>> OpenHeadsAsync(IReadOnlyList<StageState> heads, bool warmUp, bool encoder)
    {
        var open = new List<HeadLink>();
        try
        {
            foreach (StageState head in heads)
            {
                var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Generations, Tenant, Name, head.Address);
                Link link = await LinkDialler.DialAsync(head.Node.Link, head.Plan.Node.Value, hello, Links, Certificates, Stopping);
                open.Add(HeadLink.Start(link, head.Address.Epoch));
            }

            if (warmUp)
            {
                await Task.WhenAll(open.Select(head => head.WarmUpAsync(Tenant, encoder, s_warmUpDeadline, Stopping)));
            }

            return open;
        }
        catch
        {
            open.ForEach(link => link.Dispose());
            throw;
        }
    }
}
