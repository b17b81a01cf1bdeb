using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>Deployments of several pipelines, nodes that leave, and owners that follow others.</summary>
public class SeveralPipelinesTests
{
    private static readonly DeploymentId s_id = new("tiny");

    private readonly List<DeploymentEffect> _effects = [];
    private DeploymentState _state = DeploymentState.Begin(new DeploymentSpec(new TenantId("acme"), s_id, Nodes: 2, Ranges: null, Threads: 0, Pipelines: 2, Spares: 1));

    [Fact]
    public void NodesLeft_BeyondTheSpares_GetAnotherPipeline()
    {
        ServeTwo("a", "b", "c", "d", "e");

        Assert.Equal([1, 2], _state.Standing.Select(epoch => epoch.Epoch));
        Assert.Equal(["a", "b", "c", "d"], _state.ToView().Stages.Select(stage => stage.Node));
        Assert.Equal([0, 0, 1, 1], _state.ToView().Stages.Select(stage => stage.Pipeline));
        Assert.Null(_state.Building);
    }

    [Fact]
    public void NodesLeft_ButForTheSpare_GetASmallerPipelineOrNone()
    {
        Happen(Imported(), Seen("a", "b", "c"));
        Finish(1, "a", "b");

        Assert.Null(_state.Building);
        Happen(Seen("a", "b", "c", "d"));
        Assert.Equal(["c"], _state.Building!.Stages.Select(stage => stage.Plan.Node.Value));
    }

    [Fact]
    public void Pipeline_Lost_LeavesTheOtherAloneAndIsBuiltAgainOnWhatIsFree()
    {
        ServeTwo("a", "b", "c", "d", "e");
        _effects.Clear();
        Happen(new DeploymentEvent.StageFailed(new StageAddress(s_id, 2, 0, 1), new NodeName("d"), StageFailure.LinkLost, "closed"));

        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
        Assert.Equal([new DeploymentEffect.StopServing(2)], _effects.OfType<DeploymentEffect.StopServing>());
        Assert.Equal([1], _state.Standing.Select(epoch => epoch.Epoch));
        Happen(new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c"), Node("e")]));
        Assert.Equal(3, _state.Building!.Epoch);
        Assert.Equal(["c"], _state.Building.Stages.Select(stage => stage.Plan.Node.Value)); // one node stays spare
    }

    [Fact]
    public void Node_Leaving_IsReplacedBesideBeforeItsEpochDrains()
    {
        Happen(Imported(), Seen("a", "b"));
        Finish(1, "a", "b");
        _effects.Clear();
        Happen(new DeploymentEvent.NodesSeen([Node("a"), Node("b", leaving: true), Node("c")]));

        Assert.Equal(1, _state.Building!.Replaces);
        Assert.Equal(["a", "c"], _state.Building.Stages.Select(stage => stage.Plan.Node.Value).Order());
        Assert.DoesNotContain(_effects, effect => effect is DeploymentEffect.StopServing);
        Finish(2, [.. _state.Building.Stages.Select(stage => stage.Plan.Node.Value)]);

        Assert.Equal([2], _state.Standing.Select(epoch => epoch.Epoch));
        Assert.Equal([1], _state.Retiring.Select(epoch => epoch.Epoch));
        Assert.Contains(new DeploymentEffect.Drain(1), _effects);
    }

    [Fact]
    public void Node_LeavingWithNoOtherPlace_IsToldToGoOnce()
    {
        Happen(Imported(), Seen("a", "b"));
        Finish(1, "a", "b");
        _effects.Clear();
        NodeView[] nodes = [Node("a", leaving: true), Node("b", leaving: true)];
        Happen(new DeploymentEvent.NodesSeen(nodes), new DeploymentEvent.NodesSeen(nodes));

        Assert.Equal(["a", "b"], _effects.OfType<DeploymentEffect.Tell>().Where(tell => tell.Command is NodeCommands.LeaveNow).Select(tell => tell.Node.Value).Order());
        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
    }

    [Fact]
    public void Owner_FollowsAnother_GoesOnWithWhatServesAndForgetsWhatWasBeingBuilt()
    {
        ServeTwo("a", "b", "c", "d", "e");
        Happen(new DeploymentEvent.NodesSeen([Node("a"), Node("b", leaving: true), Node("c"), Node("d"), Node("e")]));
        Assert.NotNull(_state.Building);

        DeploymentState next = DeploymentWire.Resume(Wire.Decode<DeploymentProtocol.DeploymentShown>(Wire.Encode(Shown()).AsMemory()));

        Assert.Equal([1, 2], next.Standing.Select(epoch => epoch.Epoch));
        Assert.All(next.Standing, epoch => Assert.Equal(EpochPhase.Opening, epoch.Phase));
        Assert.Equal(_state.Standing.SelectMany(epoch => epoch.Stages).Select(stage => (stage.Address, stage.Plan, stage.Node.Link)), next.Standing.SelectMany(epoch => epoch.Stages).Select(stage => (stage.Address, stage.Plan, stage.Node.Link)));
        Assert.Null(next.Building);
        Assert.Equal((_state.LastEpoch, true, 2, 1), (next.LastEpoch, next.WasReady, next.Spec.Pipelines, next.Spec.Spares));
    }

    [Theory]
    [InlineData("sha256-0")]
    [InlineData("sha256-1")]
    public void Roll_OwnerFollowedByAnotherAtAnyMoment_ReplacesEveryPipeline(string digest)
    {
        var ask = new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1, Imported().Model with { Digest = digest });
        string[] nodes = ["a", "b", "c", "d", "e"];
        ServeTwo(nodes);
        DeploymentState before = _state;
        bool reached = true;
        for (int moment = 0; reached; moment++)
        {
            _state = before;
            _effects.Clear();
            Happen(ask);
            int done = 0;
            reached = false;
            for (int events = 0; done < _effects.Count; events++)
            {
                if (events == moment)
                {
                    // What was told to the dead owner, or was still to be told, is lost.
                    reached = true;
                    ModelFacts serves = _state.Model!;
                    _state = DeploymentWire.Resume(Wire.Decode<DeploymentProtocol.DeploymentShown>(Wire.Encode(Shown()).AsMemory()));
                    _effects.Clear();
                    done = 0;
                    _effects.AddRange(_state.Standing.Select(epoch => new DeploymentEffect.OpenHeads(epoch.Epoch, [.. epoch.Heads])));
                    _effects.AddRange(_state.Retiring.Select(epoch => new DeploymentEffect.Drain(epoch.Epoch)));
                    Happen(new DeploymentEvent.ModelImported(serves), ask, Seen(nodes), new DeploymentEvent.NextKnown(ask.Next!), ask);
                    continue;
                }

                Follow(_effects[done++]);
            }

            Assert.True(_state.Standing.Count == 2 && _state.Standing.All(epoch => epoch.Epoch > 2), $"after {moment} events: {string.Join(' ', _state.Standing.Select(epoch => epoch.Epoch))} serve");
            Assert.True(_state is { Building: null, Retiring.IsEmpty: true, ToReplace.IsEmpty: true, NextDigest: null, LastEpoch: <= 6 }, $"after {moment} events: {_state}");
            Assert.Equal([digest, digest, digest], _state.Standing.Select(epoch => epoch.Digest).Append(_state.Model!.Digest));
        }
    }

    [Fact]
    public void Roll_ToAModelThatDoesNotLoad_LeavesTheOneThatServes()
    {
        ServeTwo("a", "b", "c", "d", "e");
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1, Imported().Model with { Digest = "sha256-1" }));
        StageState stage = _state.Building!.Stages[0];
        Assert.Equal(("sha256-1", "sha256-0"), (_state.Building.Digest, _state.Model!.Digest));
        Assert.DoesNotContain(_effects, effect => effect is DeploymentEffect.UseModel);
        Happen(new DeploymentEvent.StageFailed(stage.Address, stage.Plan.Node, StageFailure.Corrupt, "a tensor has another hash"));

        Assert.Equal(("sha256-0", null, null), (_state.Model!.Digest, _state.NextDigest, _state.Next));
        Assert.Equal([1, 2], _state.Standing.Select(epoch => epoch.Epoch));
        Assert.Contains("another hash", _state.Problem, StringComparison.Ordinal);

        // What is lost later comes back as the model that serves.
        Happen(new DeploymentEvent.StageFailed(new StageAddress(s_id, 2, 0, 1), new NodeName("d"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c"), Node("e"), Node("f")]));
        Assert.Equal("sha256-0", _state.Building!.Digest);
    }

    [Fact]
    public void Roll_ToAnotherModel_CallersGetItWhenItsFirstPipelineServesAndBeforeTheOldOneDrains()
    {
        ServeTwo("a", "b", "c", "d", "e");
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1, Imported().Model with { Digest = "sha256-1" }));
        Assert.All(_effects.OfType<DeploymentEffect.Tell>().Select(tell => tell.Command).OfType<NodeCommands.LoadStage>().Where(load => load.Address.Epoch == 3), load => Assert.Equal("sha256-1", load.ModelDigest));
        string[] nodes = [.. _state.Building!.Stages.Select(stage => stage.Plan.Node.Value)];
        _effects.Clear();
        Finish(3, nodes);

        DeploymentEffect[] last = [.. _effects.TakeLast(3)];
        Assert.Equal([new DeploymentEffect.Serve(3), new DeploymentEffect.UseModel("sha256-1"), new DeploymentEffect.Drain(1)], last);
        Assert.Equal("sha256-1", _state.Model!.Digest);

        // Another ask that is on its way finds the change done.
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 2, Imported().Model with { Digest = "sha256-1" }));
        Assert.Null(_state.NextDigest);
        Assert.Equal([3, 2], _state.Standing.Select(epoch => epoch.Epoch));
    }

    private DeploymentProtocol.DeploymentShown Shown() => DeploymentWire.Shown(_state, new DeploymentSettings(2, null, 0, 0, 0, "f16", [], 2, 1), "front", null, [],
        _state.NextDigest is { } next ? new ModelOffer(next, next, new Endpoint("front", 1), null, 0) : null);

    /// <summary>Does what is wanted, and all goes well.</summary>
    private void Follow(DeploymentEffect effect)
    {
        switch (effect)
        {
            case DeploymentEffect.Tell { Command: NodeCommands.LoadStage load } tell:
                Happen(new DeploymentEvent.StageLoaded(load.Address, tell.Node, 10));
                break;
            case DeploymentEffect.Tell { Command: NodeCommands.ConnectStage connect } tell:
                Happen(new DeploymentEvent.StageReady(connect.Address, tell.Node));
                break;
            case DeploymentEffect.OpenHeads open:
                Happen(new DeploymentEvent.HeadsOpened(open.Epoch));
                break;
            case DeploymentEffect.Drain drain:
                Happen(new DeploymentEvent.Drained(drain.Epoch));
                break;
        }
    }

    private void ServeTwo(params string[] nodes)
    {
        Happen(Imported(), Seen(nodes));
        Finish(1, "a", "b");
        Finish(2, "c", "d");
    }

    private void Finish(int epoch, params string[] nodes)
    {
        for (int i = 0; i < nodes.Length; i++)
        {
            Happen(new DeploymentEvent.StageLoaded(new StageAddress(s_id, epoch, 0, i), new NodeName(nodes[i]), 10));
        }

        for (int i = 0; i < nodes.Length; i++)
        {
            Happen(new DeploymentEvent.StageReady(new StageAddress(s_id, epoch, 0, i), new NodeName(nodes[i])));
        }

        Happen(new DeploymentEvent.HeadsOpened(epoch));
    }

    private void Happen(params DeploymentEvent[] events)
    {
        foreach (DeploymentEvent happened in events)
        {
            (_state, IReadOnlyList<DeploymentEffect> effects) = _state.Apply(happened);
            _effects.AddRange(effects);
        }
    }

    private static DeploymentEvent.ModelImported Imported() => new(new ModelFacts(
        "sha256-0", new ModelCost
        {
            LayerBytes = [.. Enumerable.Repeat(1000L, 6)], EmbeddingBytes = 0, OutputBytes = 0, KvBlockBytes = [.. Enumerable.Repeat(8L, 6)], RowBytes = 8, ContextLength = 32,
        }, []));

    private static DeploymentEvent.NodesSeen Seen(params string[] nodes) => new([.. nodes.Select(name => Node(name))]);

    private static NodeView Node(string name, bool leaving = false) => new(new NodeName(name), new Endpoint(name, 1), 1, "1", 2, 1 << 20, 0, 1000, [], leaving);
}
