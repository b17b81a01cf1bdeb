using Akka.Actor;
using Akka.Cluster;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Messages;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Cells;

/// <summary>Sends what a deployment's owner shows to every coordinator of the cell: at once when something turned, with the next heartbeat when it merely moved on.</summary>
internal sealed class DeploymentShow(ActorSystem system, CellContext cell)
{
    /// <summary>A new owner begins that far above the last version it knows of: later ones of the old owner may be on their way.</summary>
    private const long Gap = 1 << 20;

    private readonly AkkaCluster _cluster = AkkaCluster.Get(system);
    private long _version = Gap;
    private string _shape = "";

    public void ContinueAfter(long version) => _version = version + Gap;

    /// <summary>Coordinators that are up and within reach, this one included.</summary>
    public IEnumerable<Address> Coordinators() =>
        _cluster.State.Members.Where(member => member.HasRole("coordinator") && member.Status == MemberStatus.Up && OwnObservation.Reaches(_cluster, member)).Select(member => member.Address);

    public void Send(DeploymentProtocol.DeploymentShown shown, bool force)
    {
        string shape = Shape(shown);
        if (!force && shape == _shape)
        {
            return;
        }

        _shape = shape;
        shown = shown with { Version = ++_version };
        cell.Shown[shown.Deployment] = shown;
        foreach (Address coordinator in Coordinators())
        {
            system.ActorSelection(new RootActorPath(coordinator) / "user" / DeploymentFollower.Name).Tell(shown, ActorRefs.NoSender);
        }
    }

    private static string Shape(DeploymentProtocol.DeploymentShown shown) =>
        $"{shown.WasReady} {shown.GaveUp} {shown.Problem} {shown.Model?.Digest} {shown.Next?.Digest} {shown.Sources.Count} {string.Join(',', shown.ToReplace ?? [])} {shown.Heard?.Count} {shown.Heard?.LastOrDefault()} {string.Join(',', shown.Epochs.Select(epoch => $"{epoch.Epoch}:{epoch.Role}:{epoch.Phase}"))}";
}
