using Akka.Actor;
using Akka.TestKit.Xunit;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>What a coordinator says to a deployment's owner, wherever that is.</summary>
public sealed class DeploymentFollowerTests : TestKit
{
    private static readonly DeploymentId s_id = new("tiny");
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-follower-").FullName;

    [Fact]
    public async Task Replan_UntilTheOwnerShowsThatItHeard_IsAskedAgainAndOneAfterTheOther()
    {
        using EphemeralPki pki = EphemeralPki.Create(_folder, TestCoordinator.Tenant, ["front"], []);
        CertificateFiles files = pki.Files(PeerRole.Coordinator, "front");
        using CertificateProvider certificates = CertificateProvider.FromFiles(files.CertificatePath, files.KeyPath, files.TrustBundlePath);
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        var cell = new CellContext(TestCoordinator.Tenant, "front", store, certificates, new LinkOptions(), new DeploymentBoard(), NullLogger.Instance, CancellationToken.None)
        {
            BlobEndpoint = new Endpoint("127.0.0.1", 1),
        };
        IActorRef owner = TestActor;
        IActorRef follower = Sys.ActorOf(Props.Create(() => new DeploymentFollower(cell, owner)));
        follower.Tell(Shown(1, []));
        follower.Tell(new DeploymentFollower.Replan(s_id, Roll: true, new()));
        follower.Tell(new DeploymentFollower.Replan(s_id, Roll: false, new()));

        DeploymentProtocol.ReplanDeployment[] asked = [NextAsk(), NextAsk(), NextAsk()];
        Assert.All(asked, ask => Assert.Equal((true, asked[0].Ask), (ask.Roll, ask.Ask)));

        follower.Tell(Shown(2, [asked[0].Ask]));
        DeploymentProtocol.ReplanDeployment second = (DeploymentProtocol.ReplanDeployment)FishForMessage(message => message is DeploymentProtocol.ReplanDeployment { Roll: false }, s_limit);
        follower.Tell(Shown(3, [asked[0].Ask, second.Ask]));

        follower.Tell(new DeploymentFollower.Replan(s_id, Roll: true, new()));
        FishForMessage(message => message is DeploymentProtocol.ReplanDeployment ask && ask.Ask != asked[0].Ask && ask.Ask != second.Ask, s_limit);

        await Sys.Terminate().WaitAsync(s_limit);
        Directory.Delete(_folder, recursive: true);
    }

    private DeploymentProtocol.ReplanDeployment NextAsk() => (DeploymentProtocol.ReplanDeployment)FishForMessage(message => message is DeploymentProtocol.ReplanDeployment, s_limit);

    private static DeploymentProtocol.DeploymentShown Shown(long version, long[] heard) => new(
        TestCoordinator.Tenant, s_id, new DeploymentSettings(1, null, 0, 0, 0, "f16", [], 1, 0), version, null, [], 0, false, false, null, 0, 0, [], "other", false, [], heard);
}
