using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Cells;

public class DeploymentStateTests
{
    private static readonly TenantId s_tenant = new("acme");
    private static readonly DeploymentId s_id = new("tiny");

    private readonly List<DeploymentEffect> _effects = [];
    private DeploymentState _state = DeploymentState.Begin(new DeploymentSpec(s_tenant, s_id, Nodes: 3, Ranges: null, Threads: 0));

    [Fact]
    public void Nodes_FewerThanWanted_AreWaitedFor()
    {
        Happen(Imported(), Seen(Node("a"), Node("b")));

        Assert.Equal(DeploymentPhase.WaitingForNodes, _state.Phase);
        Assert.Equal("2 of 3 nodes are up", _state.ToView().Problem);
        Assert.Empty(_effects);
    }

    [Fact]
    public void Nodes_AllThere_EveryOneIsToldToLoad()
    {
        Happen(Imported(), Seen(Node("a"), Node("b"), Node("c")));

        Assert.Equal(["a load 1/0/0 0-2 of 3", "b load 1/0/1 2-4 of 3", "c load 1/0/2 4-6 of 3"], Told());
        Assert.Equal(DeploymentPhase.Loading, _state.Phase);
    }

    /// <summary>Coordinators first; what they lost may lie in the cache of a node that held the layers before.</summary>
    [Fact]
    public void Nodes_ToldToLoad_AreNamedTheCoordinatorsAndThenTheOtherNodes()
    {
        Happen(Imported(), Seen(Node("a"), Node("b"), Node("c")));

        NodeCommands.LoadStage load = Assert.IsType<NodeCommands.LoadStage>(_effects.OfType<DeploymentEffect.Tell>().Single(told => told.Node.Value == "b").Command);
        Assert.Equal([.. _state.Model!.Sources, new Endpoint("a", 1), new Endpoint("c", 1)], load.Sources);
    }

    [Fact]
    public void Stages_AllLoaded_AreConnectedInARing()
    {
        Start();
        _effects.Clear();
        Load("a", 0);
        Load("b", 1);
        Assert.Empty(_effects);
        Load("c", 2);

        Assert.Equal(["a connect next=b:1 head=", "b connect next=c:1 head=", "c connect next= head=a:1"], Told());
    }

    [Fact]
    public void Stages_AllReady_HeadsAreOpenedThenServed()
    {
        Start();
        LoadAll();
        _effects.Clear();
        Ready("a", 0);
        Ready("b", 1);
        Ready("c", 2);
        Assert.Equal(1, Assert.IsType<DeploymentEffect.OpenHeads>(Assert.Single(_effects)).Epoch);
        Assert.Equal(DeploymentPhase.Loading, _state.Phase);
        Happen(new DeploymentEvent.HeadsOpened(1));

        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
        Assert.Contains(new DeploymentEffect.Serve(1), _effects);
    }

    [Fact]
    public void Stage_LostWhileServing_StopsUnloadsProbesAndPlansWithWhoAnswers()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "the link to b closed"));

        Assert.Equal(new DeploymentEffect.StopServing(1), _effects[0]);
        Assert.Equal(["a unload 1/0/0", "b unload 1/0/1", "c unload 1/0/2"], Told());
        Assert.Equal(new DeploymentEffect.Probe(TimeSpan.Zero), _effects[^1]);
        Assert.Null(_state.Building);

        _effects.Clear();
        Happen(new DeploymentEvent.NodesProbed([Node("a"), Node("c")]));

        Assert.Equal(["a load 2/0/0 0-3 of 2", "c load 2/0/1 3-6 of 2"], Told());
    }

    [Fact]
    public void Node_GoneWhileServing_IsReplannedToo()
    {
        Serve();
        Happen(Seen(Node("a"), Node("c")));

        Assert.Contains(new DeploymentEffect.StopServing(1), _effects);
        Assert.True(_state.Probing);
    }

    [Fact]
    public void Node_RestartedUnderItsName_CountsAsLost()
    {
        Serve();
        Happen(Seen(Node("a"), Node("b", process: 99), Node("c")));

        Assert.Contains(new DeploymentEffect.StopServing(1), _effects);
    }

    [Fact]
    public void Epoch_OldReports_ChangeNothing()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        DeploymentState before = _state;
        _effects.Clear();

        Happen(new DeploymentEvent.StageReady(Address(1, 0), new NodeName("a")), new DeploymentEvent.StageFailed(Address(1, 1), new NodeName("b"), StageFailure.LinkLost, "late"),
            new DeploymentEvent.HeadsOpened(1), new DeploymentEvent.HeadLost(1, "late"), new DeploymentEvent.HeadsFailed(1, "late"), new DeploymentEvent.Drained(1), new DeploymentEvent.Stalled(1));

        Assert.Equal(before.Building, _state.Building);
        Assert.Empty(_effects);
    }

    [Fact]
    public void Stage_LoadedLateForAnEpochThatIsOver_IsUnloadedAgain()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        _effects.Clear();
        Happen(new DeploymentEvent.StageLoaded(Address(1, 0), new NodeName("a"), 5));

        Assert.Equal(["a unload 1/0/0"], Told());
    }

    [Fact]
    public void Head_LinkLostWhileServing_IsDialledAgainBeforeThePipelineIsGivenUp()
    {
        Serve();
        Happen(new DeploymentEvent.HeadLost(1, "reset by peer"));
        Assert.Equal(new DeploymentEffect.StopServing(1), _effects[0]);
        Assert.Equal(1, Assert.IsType<DeploymentEffect.OpenHeads>(_effects[1]).Epoch);
        Assert.Empty(Told());

        Happen(new DeploymentEvent.HeadsOpened(1));
        Assert.Equal(new DeploymentEffect.Serve(1), _effects[^1]);
        Assert.Equal(EpochPhase.Serving, _state.Serving!.Phase);
    }

    [Fact]
    public void Head_CannotBeReachedAgain_EndsTheEpoch()
    {
        Serve();
        Happen(new DeploymentEvent.HeadLost(1, "reset by peer"), new DeploymentEvent.HeadsFailed(1, "refused"));

        Assert.Null(_state.Serving);
        Assert.Equal(["a unload 1/0/0", "b unload 1/0/1", "c unload 1/0/2"], Told());
        Assert.True(_state.Probing);
    }

    [Trait("Attack", "I4")]
    [Fact]
    public void Stage_ReportedByAnotherNode_IsNotBelieved()
    {
        Start();
        Happen(new DeploymentEvent.StageLoaded(Address(1, 0), new NodeName("b"), 5));

        Assert.True(_state.Building!.All(StagePhase.Fetching));
    }

    [Fact]
    public void Stage_UnsupportedModel_GivesUpAtOnceWithTheReason()
    {
        Start();
        Happen(new DeploymentEvent.StageFailed(Address(1, 2), new NodeName("c"), StageFailure.Unsupported, "tensor type IQ1_S is not supported"));

        Assert.Equal(DeploymentPhase.Failed, _state.Phase);
        Assert.Equal("node c: tensor type IQ1_S is not supported", _state.ToView().Problem);
        Assert.DoesNotContain(_effects, effect => effect is DeploymentEffect.Probe);
    }

    [Fact]
    public void Build_FailsAgainAndAgain_WaitsLongerThenFailsAndIsTriedNowAndThenUntilNodesChange()
    {
        Start();
        var delays = new List<TimeSpan>();
        void Fail()
        {
            _effects.Clear();
            Happen(new DeploymentEvent.StageFailed(Address(_state.Building!.Epoch, 0), new NodeName("a"), StageFailure.Internal, "boom"));
            delays.AddRange(_effects.OfType<DeploymentEffect.Probe>().Select(probe => probe.Delay));
        }

        void Answer() => Happen(new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        for (int failures = 1; failures < DeploymentState.MaxFailures; failures++)
        {
            Fail();
            Answer();
        }

        // Failed, and tried once each time that the wait is over.
        for (int round = 0; round < 2; round++)
        {
            Fail();
            Assert.Equal((DeploymentPhase.Failed, DeploymentState.MaxFailures + round), (_state.Phase, _state.LastEpoch));
            Answer();
            Assert.Equal(DeploymentPhase.Loading, _state.Phase);
        }

        Fail();
        Assert.Equal([0, 250, 500, 1000, 30_000, 30_000, 30_000], delays.Select(delay => delay.TotalMilliseconds));

        // Another node is not waited for.
        Happen(Seen(Node("a"), Node("b"), Node("c"), Node("d")));
        Assert.Equal((DeploymentPhase.Loading, 0), (_state.Phase, _state.Failures));
    }

    [Fact]
    public void Build_FailsForTheLastTimeBecauseItsNodeHasGone_IsTriedWithTheNodesThatAreLeft()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "the link to b closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        for (int failures = 1; failures < DeploymentState.MaxFailures; failures++)
        {
            Happen(new DeploymentEvent.HeadsFailed(_state.Building!.Epoch, "b refuses links"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        }

        Assert.True(_state.Building!.Uses(new NodeName("b")));
        _effects.Clear();
        Happen(Seen(Node("a"), Node("c")));

        // Epoch 6 was the fifth in a row that failed, and after its node no other change comes.
        Assert.Equal(["a load 7/0/0 0-3 of 2", "c load 7/0/1 3-6 of 2"], Told().Where(told => told.Contains("load 7", StringComparison.Ordinal)));
    }

    [Fact]
    public void Build_FailsForANodesOwnReason_IsTriedWithoutThatNode()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        _effects.Clear();
        Happen(new DeploymentEvent.StageFailed(Address(2, 1), new NodeName("b"), StageFailure.OutOfMemory, "the cache folder's disk is full"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));

        Assert.Equal(["a load 3/0/0 0-3 of 2", "c load 3/0/1 3-6 of 2"], Told().Where(told => told.Contains("load", StringComparison.Ordinal) && !told.Contains("unload", StringComparison.Ordinal)));
    }

    [Fact]
    public void Build_FailsAtALink_IsTriedWithoutItsEndsFirstAndWithThemBesideWhatServes()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        Happen(new DeploymentEvent.StageFailed(Address(2, 1), new NodeName("b"), StageFailure.LinkLost, "no answer"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        Assert.Equal("a", Assert.Single(_state.Building!.Stages).Plan.Node.Value);

        Finish(3, "a");
        Assert.Equal((DeploymentPhase.Ready, 4, 3), (_state.Phase, _state.Building!.Epoch, _state.Building.Stages.Length));
    }

    [Fact]
    public void Build_FailsAtALinkToANodeThatHasGone_IsTriedWithAllThatAreLeft()
    {
        Serve();
        Happen(new DeploymentEvent.StageFailed(Address(1, 0), new NodeName("a"), StageFailure.LinkLost, "closed"), new DeploymentEvent.NodesProbed([Node("a"), Node("b"), Node("c")]));
        Happen(new DeploymentEvent.StageFailed(Address(2, 1), new NodeName("b"), StageFailure.LinkLost, "reset"), new DeploymentEvent.NodesProbed([Node("a"), Node("b")]));

        Assert.Equal(["a", "b"], _state.Building!.Stages.Select(stage => stage.Plan.Node.Value));
    }

    [Fact]
    public void BetterPlan_WhoseNodeGoes_IsTriedWithAnotherThatIsLeft()
    {
        ServeWithTwo();
        Happen(Seen(Node("a"), Node("b"), Node("c"), Node("d")));
        _effects.Clear();
        Happen(Seen(Node("a"), Node("c"), Node("d")));

        Assert.Equal(["a load 4/0/0 0-2 of 3", "c load 4/0/1 2-4 of 3", "d load 4/0/2 4-6 of 3"], Told().Where(told => told.Contains("load 4", StringComparison.Ordinal)));
    }

    [Fact]
    public void Node_ComesBack_BetterPlanIsBuiltBesideAndReplacesTheServingOne()
    {
        ServeWithTwo();
        _effects.Clear();
        Happen(Seen(Node("a"), Node("b"), Node("c")));
        Assert.Equal(["a load 3/0/0 0-2 of 3", "b load 3/0/1 2-4 of 3", "c load 3/0/2 4-6 of 3"], Told());
        Assert.Equal(DeploymentPhase.Ready, _state.Phase);

        Finish(3, "a", "b", "c");

        Assert.Contains(new DeploymentEffect.Serve(3), _effects);
        Assert.Contains(new DeploymentEffect.Drain(2), _effects);
        Assert.DoesNotContain(_effects, effect => effect is DeploymentEffect.Tell { Command: NodeCommands.UnloadStage });

        _effects.Clear();
        Happen(new DeploymentEvent.Drained(2));
        Assert.Equal(["a unload 2/0/0", "c unload 2/0/1"], Told());
    }

    [Fact]
    public void BetterPlan_ThatFails_LeavesTheServingOneAndIsNotTriedAgainWithTheSameNodes()
    {
        ServeWithTwo();
        Happen(Seen(Node("a"), Node("b"), Node("c")));
        _effects.Clear();
        Happen(new DeploymentEvent.StageFailed(Address(3, 1), new NodeName("b"), StageFailure.OutOfMemory, "no room"));
        Happen(Seen(Node("a"), Node("b"), Node("c")));

        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
        Assert.Null(_state.Building);
        Assert.Equal(["a unload 3/0/0", "b unload 3/0/1", "c unload 3/0/2"], Told());
    }

    [Fact]
    public void Plan_TooLittleMemory_FailsWithThePlannersSentence()
    {
        Happen(Imported(), Seen(Node("a", memory: 100), Node("b", memory: 100), Node("c", memory: 100)));

        Assert.Equal(DeploymentPhase.Failed, _state.Phase);
        Assert.StartsWith("the model does not fit in memory", _state.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_NodesOfOneMachineMeasuredDifferently_SharesLayersEvenly()
    {
        NodeView[] nodes = [.. new[] { "a", "b", "c" }.Select((name, i) => Node(name) with { Link = new Endpoint("127.0.0.1", i + 1), BytesPerSecond = 1000 * (i + 1) })];
        Happen(Imported(), Seen(nodes));

        Assert.Equal(["a load 1/0/0 0-2 of 3", "b load 1/0/1 2-4 of 3", "c load 1/0/2 4-6 of 3"], Told());
    }

    [Fact]
    public void Node_OutOfReachWhenItsStageWasUnloaded_IsToldAgainWhenItReturns()
    {
        ServeWithTwo();
        _effects.Clear();
        Happen(Seen(Node("a"), Node("b", stages: new StageStatus(Address(1, 1), StagePhase.Ready, 2, 4, 10, 0)), Node("c")));

        Assert.Equal("b unload 1/0/1", Told()[0]);
    }

    [Fact]
    public void Coordinator_Restarted_GoesOnAfterTheEpochsThatNodesRememberAndUnloadsThem()
    {
        var stray = new StageStatus(new StageAddress(s_id, 7, 0, 0), StagePhase.Ready, 0, 6, 10, 0);
        Happen(Imported(), Seen(Node("a", stages: stray), Node("b"), Node("c")));

        Assert.Equal(8, _state.LastEpoch);
        Assert.Equal("a unload 7/0/0", Told()[0]);
    }

    [Fact]
    public void Import_Failed_IsTheProblem()
    {
        Happen(new DeploymentEvent.ImportFailed("not a GGUF file"));

        Assert.Equal((DeploymentPhase.Failed, "not a GGUF file"), (_state.ToView().Phase, _state.ToView().Problem));
    }

    [Fact]
    public void View_WhileLoading_CountsFetchedAndLoadedBytes()
    {
        Start();
        Happen(new DeploymentEvent.StageProgressed(Address(1, 0), new NodeName("a"), StagePhase.Fetching, 50, 100));
        Happen(new DeploymentEvent.StageProgressed(Address(1, 1), new NodeName("b"), StagePhase.Loading, 50, 100));
        Load("c", 2);

        // 2000 bytes of weights each: a quarter, three quarters, all.
        Assert.Equal((500 + 1500 + 2000, 6000), ((int)_state.ToView().LoadedBytes, (int)_state.ToView().TotalBytes));
    }

    [Fact]
    public void Replan_NothingBetter_ChangesNothing()
    {
        Serve();
        Assert.Null(Assert.Single(_state.Replacements(roll: false)).Plan);

        Happen(new DeploymentEvent.ReplanAsked(Roll: false, Ask: 1));

        Assert.Empty(_effects);
        Assert.Empty(_state.ToReplace);
    }

    [Fact]
    public void Replan_AFasterNodeCame_IsPreviewedAndBuiltBesideWhatServes()
    {
        Serve();
        NodeView[] nodes = [Node("a"), Node("b"), Node("c"), Node("d") with { BytesPerSecond = 100_000 }];
        Happen(Seen(nodes));
        Assert.Empty(_effects);

        // Two slow nodes need a second for the one layer that each must have, the fast one less than that for four.
        DeploymentState.Replacement preview = Assert.Single(_state.Replacements(roll: false));
        Assert.Equal(4, Assert.Single(preview.Plan!.Pipelines[0].Stages, stage => stage.Node == new NodeName("d")).Layers.Count);
        Happen(new DeploymentEvent.ReplanAsked(Roll: false, Ask: 1));

        Assert.Equal(preview.Plan.Pipelines[0].Stages.Select((stage, i) => $"{stage.Node} load 2/0/{i} {stage.Layers.First}-{stage.Layers.End} of 3"), Told());
        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
        Finish(2, [.. preview.Plan.Pipelines[0].Stages.Select(stage => stage.Node.Value)]);
        Assert.Contains(new DeploymentEffect.Drain(1), _effects);
        Assert.Empty(_state.ToReplace);
    }

    [Fact]
    public void Roll_OfThePlanThatServes_LoadsItAnewOnce()
    {
        Serve();
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1));
        Assert.Equal(["a load 2/0/0 0-2 of 3", "b load 2/0/1 2-4 of 3", "c load 2/0/2 4-6 of 3"], Told());
        Assert.Equal(1, _state.Serving!.Epoch);

        Finish(2, "a", "b", "c");
        _effects.Clear();
        Happen(new DeploymentEvent.Drained(1), Seen(Node("a"), Node("b"), Node("c")));

        Assert.Equal(["a unload 1/0/0", "b unload 1/0/1", "c unload 1/0/2"], Told());
        Assert.Equal((2, null), (_state.Serving!.Epoch, _state.Building));
    }

    [Fact]
    public void Roll_ThatFails_LeavesWhatServesAndEnds()
    {
        Serve();
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1), new DeploymentEvent.StageFailed(Address(2, 1), new NodeName("b"), StageFailure.OutOfMemory, "no room"));
        _effects.Clear();
        Happen(Seen(Node("a"), Node("b"), Node("c"), Node("d")));

        Assert.Equal((DeploymentPhase.Ready, 1), (_state.Phase, _state.Serving!.Epoch));
        Assert.Empty(_effects);
    }

    /// <summary>As a coordinator of the version before asks.</summary>
    [Fact]
    public void Roll_WithoutANumber_CountsEachTime()
    {
        Serve();
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 0));
        Finish(2, "a", "b", "c");
        Happen(new DeploymentEvent.Drained(1), new DeploymentEvent.ReplanAsked(Roll: true, Ask: 0));

        Assert.Equal(3, _state.Building!.Epoch);
    }

    [Fact]
    public void Roll_SentAgain_CountsOnce()
    {
        Serve();
        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1));
        Finish(2, "a", "b", "c");
        Happen(new DeploymentEvent.Drained(1), new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1));
        Assert.Equal((2, null), (_state.Serving!.Epoch, _state.Building));

        Happen(new DeploymentEvent.ReplanAsked(Roll: true, Ask: 2));
        Assert.Equal(3, _state.Building!.Epoch);
        Assert.Equal([1L, 2L], _state.Heard);
    }

    [Fact]
    public void Roll_AskedOfAnOwnerThatDoesNotKnowItsNodesYet_IsNotHeardUntilItDoes()
    {
        var ask = new DeploymentEvent.ReplanAsked(Roll: true, Ask: 1);
        Happen(Imported(), ask);
        Assert.Empty(_state.Heard);

        Serve();
        Happen(ask);
        Assert.Equal([1L], _state.Heard);
        Assert.Equal(1, _state.Building!.Replaces);
    }

    private void Start() => Happen(Imported(), Seen(Node("a"), Node("b"), Node("c")));

    private void Serve()
    {
        Start();
        Finish(1, "a", "b", "c");
        Assert.Equal(DeploymentPhase.Ready, _state.Phase);
        _effects.Clear();
    }

    private void ServeWithTwo()
    {
        Serve();
        Happen(Seen(Node("a"), Node("c")), new DeploymentEvent.NodesProbed([Node("a"), Node("c")]));
        Finish(2, "a", "c");
        Assert.Equal(2, _state.Serving!.Epoch);
    }

    private void Finish(int epoch, params string[] nodes)
    {
        for (int i = 0; i < nodes.Length; i++)
        {
            Happen(new DeploymentEvent.StageLoaded(Address(epoch, i), new NodeName(nodes[i]), 10));
        }

        for (int i = 0; i < nodes.Length; i++)
        {
            Happen(new DeploymentEvent.StageReady(Address(epoch, i), new NodeName(nodes[i])));
        }

        Happen(new DeploymentEvent.HeadsOpened(epoch));
    }

    private void LoadAll()
    {
        Load("a", 0);
        Load("b", 1);
        Load("c", 2);
    }

    private void Load(string node, int stage) => Happen(new DeploymentEvent.StageLoaded(Address(1, stage), new NodeName(node), 10));

    private void Ready(string node, int stage) => Happen(new DeploymentEvent.StageReady(Address(1, stage), new NodeName(node)));

    private void Happen(params DeploymentEvent[] events)
    {
        foreach (DeploymentEvent happened in events)
        {
            (_state, IReadOnlyList<DeploymentEffect> effects) = _state.Apply(happened);
            _effects.AddRange(effects);
        }
    }

    private static StageAddress Address(int epoch, int stage) => new(s_id, epoch, 0, stage);

    private string[] Told() => [.. _effects.OfType<DeploymentEffect.Tell>().Select(tell => $"{tell.Node} " + tell.Command switch
    {
        NodeCommands.LoadStage load => $"load {Short(load.Address)} {load.FirstLayer}-{load.EndLayer} of {load.StageCount}",
        NodeCommands.ConnectStage connect => $"connect next={connect.Next} head={connect.Head}",
        NodeCommands.UnloadStage unload => $"unload {Short(unload.Address)}",
        _ => "?",
    })];

    private static string Short(StageAddress address) => $"{address.Epoch}/{address.Pipeline}/{address.Stage}";

    private static DeploymentEvent.ModelImported Imported() => new(new ModelFacts(
        "sha256-0", new ModelCost
        {
            LayerBytes = [.. Enumerable.Repeat(1000L, 6)], EmbeddingBytes = 0, OutputBytes = 0, KvBlockBytes = [.. Enumerable.Repeat(8L, 6)], RowBytes = 8, ContextLength = 32,
        }, []));

    private static DeploymentEvent.NodesSeen Seen(params NodeView[] nodes) => new(nodes);

    private static NodeView Node(string name, int process = 1, long memory = 1 << 20, params StageStatus[] stages) =>
        new(new NodeName(name), new Endpoint(name, 1), process, "1", 2, memory, 0, 1000, stages);
}
