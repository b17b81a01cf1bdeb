using CsCheck;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Tests.Planning;

public class PlannerTests
{
    private static readonly Gen<ModelCost> s_models =
        from layers in Gen.Long[1, 40].Array[1, 6]
        from embedding in Gen.Long[0, 60]
        from output in Gen.Long[0, 60]
        from kv in Gen.Long[0, 3].Array[6]
        select new ModelCost
        {
            LayerBytes = layers, EmbeddingBytes = embedding, OutputBytes = output, KvBlockBytes = kv[..layers.Length], RowBytes = 8, ContextLength = 64,
        };

    private static readonly Gen<NodeCapacity[]> s_nodes =
        (from free in Gen.Long[0, 160]
         from speed in Gen.Long[1, 4]
         from latency in Gen.Int[0, 3]
         from bandwidth in Gen.Long[1, 5]
         select (free, speed, latency, bandwidth)).Array[1, 4]
        .Select(nodes => nodes.Select((n, i) => new NodeCapacity(new NodeName($"n{i}"), n.free, n.speed, n.latency * 1e-3, n.bandwidth)).ToArray());

    [Fact]
    public void Plan_SmallCases_EqualsBruteForce() =>
        Gen.Select(s_models, s_nodes, Gen.Int[1, 4], Gen.Bool).Sample((model, nodes, stages, byLatency) =>
        {
            PlanObjective objective = byLatency ? PlanObjective.Latency : PlanObjective.Throughput;
            stages = Math.Min(stages, Math.Min(nodes.Length, model.LayerCount));
            LayoutCost? expected = BruteForce(model, nodes, stages, objective);
            PlanResult result = Planner.Make(new PlanRequest(model, nodes, stages, Objective: objective));

            if (expected is null)
            {
                return result.Plan is null && result.Problem!.Contains("does not fit", StringComparison.Ordinal);
            }

            IReadOnlyList<StagePlan> planned = result.Plan!.Pipelines[0].Stages;
            var found = CostOf(model, [.. planned.Select(stage => (nodes.First(n => n.Name == stage.Node), stage.Layers))]);
            bool isBest = byLatency ? found.Latency == expected.Value.Latency : found == expected;
            return isBest && planned.Select(stage => stage.Node).Distinct().Count() == stages;
        }, iter: 10_000);

    [Fact]
    public void Plan_NodesInAnyOrder_IsTheSame() =>
        Gen.Select(s_models, s_nodes).Sample((model, nodes) =>
        {
            int stages = Math.Min(nodes.Length, model.LayerCount);
            Plan? plan = Planner.Make(new PlanRequest(model, nodes, stages)).Plan;
            Plan? reversed = Planner.Make(new PlanRequest(model, [.. nodes.Reverse()], stages)).Plan;
            return (plan is null && reversed is null) || plan!.Pipelines[0].Stages.SequenceEqual(reversed!.Pipelines[0].Stages);
        });

    [Fact]
    public void Plan_EqualNodes_SharesLayersEvenly()
    {
        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 7, context: 32), Nodes(3), 3));

        Assert.Equal(["n0 0-1", "n1 2-3", "n2 4-6"], Describe(result.Plan!).OrderBy(s => s));
    }

    [Fact]
    public void Plan_OneNodeTwiceAsFast_HoldsTwiceTheLayers()
    {
        NodeCapacity[] nodes = [new(new NodeName("slow"), 1 << 20, 1000), new(new NodeName("swift"), 1 << 20, 2000)];

        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 9, context: 32), nodes, 2));

        Assert.Equal(6, result.Plan!.Pipelines[0].Stages.Single(stage => stage.Node.Value == "swift").Layers.Count);
    }

    [Fact]
    public void Plan_ExplicitRanges_KeepsThemAndGivesTheLargestToTheFastest()
    {
        NodeCapacity[] nodes = [new(new NodeName("slow"), 1 << 20, 1000), new(new NodeName("swift"), 1 << 20, 2000)];

        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 4, context: 32), nodes, 1, StageRanges.Parse("0-2,3-3")));

        Assert.Equal(["swift 0-2", "slow 3-3"], Describe(result.Plan!));
    }

    [Fact]
    public void Plan_RangesOfAnotherModel_AreRefused()
    {
        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 5, context: 32), Nodes(2), 2, StageRanges.Parse("0-1,2-3")));

        Assert.Equal("the ranges end at layer 3, but the model's last layer is 4", result.Problem);
    }

    [Fact]
    public void Plan_SmallModel_HoldsManyFullContexts()
    {
        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 6, context: 512), Nodes(3), 3));

        Assert.Equal(64, result.Plan!.MaxSequences);
        Assert.Equal(64 * 16, result.Plan.KvBlocks);
    }

    [Fact]
    public void Plan_LittleMemory_TakesHalfOfTheRestForTheCache()
    {
        // 4 layers of 1000 bytes and a sixteenth on top: 4250; 32 bytes per block and layer: 128 per block, two blocks per context.
        NodeCapacity[] nodes = [new(new NodeName("n0"), 4250 + (128 * 10), 1000)];
        ModelCost model = Uniform(layers: 4, context: 64) with { KvBlockBytes = [32, 32, 32, 32] };

        Assert.Equal(5, Planner.Make(new PlanRequest(model, nodes, 1)).Plan!.KvBlocks);
    }

    [Fact]
    public void Plan_TooLittleMemory_SaysWhatIsNeededAndOffered()
    {
        string? problem = Planner.Make(new PlanRequest(Uniform(layers: 4, context: 64), [new(new NodeName("n0"), 1 << 10, 1000)], 1)).Problem;

        Assert.Contains("the model does not fit in memory: it needs", problem, StringComparison.Ordinal);
        Assert.Contains("n0 0.0 MiB", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_FortyUnlikeNodes_IsMadeInTime()
    {
        NodeCapacity[] nodes = [.. Enumerable.Range(0, 40).Select(i => new NodeCapacity(new NodeName($"n{i:00}"), (1 << 20) + i, 1000 + i))];

        PlanResult result = Planner.Make(new PlanRequest(Uniform(layers: 80, context: 64), nodes, 30));

        Assert.Equal(30, result.Plan!.Pipelines[0].Stages.Count);
        Assert.Equal(80, result.Plan.Pipelines[0].Stages[^1].Layers.End);
    }

    /// <summary>Bounded from below by what any layout needs: the whole model's bytes over the speed of the nodes used.</summary>
    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(126)]
    public void Plan_ThousandUnlikeNodes_IsMadeInTimeAndCloseToTheBound(int stages)
    {
        var random = new Random(5);
        NodeCapacity[] nodes = [.. Enumerable.Range(0, 1000).Select(i => new NodeCapacity(new NodeName($"n{i:000}"), random.Next(20_000, 200_000), NodeCapacity.RoundSpeed(random.Next(1000, 16_000))))];
        ModelCost model = Uniform(layers: 126, context: 64);
        long began = System.Diagnostics.Stopwatch.GetTimestamp();

        PlanResult result = Planner.Make(new PlanRequest(model, nodes, stages));

        TimeSpan took = System.Diagnostics.Stopwatch.GetElapsedTime(began);
        Assert.True(result.Plan is not null, result.Problem);
        Dictionary<string, NodeCapacity> byName = nodes.ToDictionary(node => node.Name.Value);
        var costs = new StageCosts(model, manyStages: true);
        IReadOnlyList<StagePlan> planned = result.Plan.Pipelines[0].Stages;
        Assert.All(planned, stage => Assert.True(costs.Fits(stage.Layers, byName[stage.Node.Value])));
        Assert.Equal(stages, planned.Select(stage => stage.Node).Distinct().Count());
        double slowest = planned.Max(stage => costs.BusyTime(stage.Layers, byName[stage.Node.Value]));
        double bound = 126_000.0 * 1e9 / nodes.Select(node => node.BytesPerSecond).OrderDescending().Take(stages).Sum();
        TestContext.Current.TestOutputHelper!.WriteLine($"{stages} stages of 1000 nodes in {took.TotalMilliseconds:0} ms, the slowest {slowest / bound:0.00} times the bound");
        Assert.InRange(slowest, 0, Math.Max(2.01 * bound, 1.01 * costs.BusyTime(new LayerRange(1, 2), nodes.MaxBy(node => node.BytesPerSecond)!)));

        // A margin for a machine that is busy with other tests.
        Assert.True(took < TimeSpan.FromSeconds(60), $"{took}");
    }

    [Fact]
    public void Explanation_NodeWithoutRoom_SaysWhatWouldHelp()
    {
        // 1062 bytes a layer with overhead, 8 bytes of cache for each of the two blocks: "small" holds two layers.
        NodeCapacity[] nodes = [new(new NodeName("large"), 1 << 20, 1000), new(new NodeName("small"), 2 * (1000 + 63 + 16), 4000)];

        IReadOnlyList<string> sentences = Planner.Make(new PlanRequest(Uniform(layers: 6, context: 64), nodes, 2)).Plan!.Explanation;

        Assert.Contains(sentences, sentence => sentence.StartsWith("small holds layers", StringComparison.Ordinal) && sentence.EndsWith("as many as its memory takes.", StringComparison.Ordinal));
        Assert.Contains("More memory on small would let it take layers off large, the slowest.", sentences);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0-7,9-15")]
    [InlineData("1-7")]
    [InlineData("7-0")]
    [InlineData("0-7,8-")]
    [InlineData("0-7;8-15")]
    [InlineData("0--7")]
    [InlineData("0-99999999999")]
    public void Ranges_Malformed_AreRefused(string text) => Assert.Throws<FormatException>(() => StageRanges.Parse(text));

    [Fact]
    public void Ranges_WellFormed_AreRead() =>
        Assert.Equal([new LayerRange(0, 8), new LayerRange(8, 9), new LayerRange(9, 16)], StageRanges.Parse("0-7, 8, 9-15"));

    private static ModelCost Uniform(int layers, int context) => new()
    {
        LayerBytes = [.. Enumerable.Repeat(1000L, layers)],
        EmbeddingBytes = 0,
        OutputBytes = 0,
        KvBlockBytes = [.. Enumerable.Repeat(8L, layers)],
        RowBytes = 8,
        ContextLength = context,
    };

    private static NodeCapacity[] Nodes(int count) => [.. Enumerable.Range(0, count).Select(i => new NodeCapacity(new NodeName($"n{i}"), 1 << 20, 1000))];

    private static IEnumerable<string> Describe(Plan plan) => plan.Pipelines[0].Stages.Select(stage => $"{stage.Node} {stage.Layers}");

    private static LayoutCost? BruteForce(ModelCost model, NodeCapacity[] nodes, int stages, PlanObjective objective)
    {
        LayoutCost? best = null;
        void Place(List<(NodeCapacity, LayerRange)> placed, int first)
        {
            if (placed.Count == stages)
            {
                if (first == model.LayerCount)
                {
                    LayoutCost cost = CostOf(model, placed);
                    bool isBetter = best is null || (objective == PlanObjective.Latency ? cost.Latency < best.Value.Latency : cost.CompareTo(best.Value) < 0);
                    best = isBetter ? cost : best;
                }

                return;
            }

            foreach (NodeCapacity node in nodes.Where(n => placed.All(p => p.Item1 != n)))
            {
                for (int end = first + 1; end <= model.LayerCount; end++)
                {
                    if (new StageCosts(model, stages > 1).Fits(new LayerRange(first, end), node))
                    {
                        placed.Add((node, new LayerRange(first, end)));
                        Place(placed, end);
                        placed.RemoveAt(placed.Count - 1);
                    }
                }
            }
        }

        Place([], 0);
        return best;
    }

    private static LayoutCost CostOf(ModelCost model, List<(NodeCapacity Node, LayerRange Layers)> stages)
    {
        var costs = new StageCosts(model, stages.Count > 1);
        long[] busy = [.. stages.Select(stage => costs.BusyTime(stage.Layers, stage.Node))];
        UInt128 squares = busy.Aggregate((UInt128)0, (sum, time) => sum + ((UInt128)time * (UInt128)time));
        return new LayoutCost(busy.Max(), busy.Sum() + stages.Sum(stage => costs.HopTime(stage.Node)), squares);
    }
}
