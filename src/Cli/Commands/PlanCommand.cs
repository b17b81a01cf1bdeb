using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Coordinator;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Planning;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina plan</c>: where a model's layers would go on given nodes, what they would take and how fast they would be; with <c>--measure</c> beside what a run here gave.</summary>
internal static class PlanCommand
{
    private const int DefaultContextLimit = 8192;

    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "GGUF file." };
        Option<string?> nodes = new("--nodes") { Description = "File with the nodes: [{\"name\": \"a\", \"memory\": \"16GiB\", \"speed\": \"40GB\", \"latency\": \"0.1ms\", \"bandwidth\": \"1Gbit\"}, ...]." };
        Option<string[]> node = new("--node") { Description = "A node as NAME=MEMORY,SPEED[,LATENCY[,BANDWIDTH]], such as a=16GiB,40GB: memory for stages, bytes a second that it reads them with. Repeatable." };
        Option<int> count = new("--count") { Description = "Stages; 0 = one on each node.", DefaultValueFactory = _ => 0 };
        Option<string?> stages = new("--stages") { Description = "Layers of each stage, e.g. \"0-7,8-15\"; planned when not given." };
        Option<int> context = new("--context", "-c") { Description = "Longest sequence in tokens; 0 = the model's own, at most 8192.", DefaultValueFactory = _ => 0 };
        Option<string> kvType = ModelRunOptions.KvTypeOption();
        Option<bool> latency = new("--latency") { Description = "Prefer a token's shortest way through all stages to the fastest slowest stage." };
        Option<int> measure = new("--measure") { Description = "Start that many node processes here, run the model on them and show the prediction beside what was measured.", DefaultValueFactory = _ => 0 };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("plan", "Show which node would hold which layers of a model, with memory and predicted speed.") { model, nodes, node, count, stages, context, kvType, latency, measure, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            string path = parsed.GetRequiredValue(model);
            ModelCost cost = Cost(path, Bounds.AtLeast(parsed.GetValue(context), 0, "--context"), KvCacheTypes.Parse(parsed.GetValue(kvType)!));
            int processes = Bounds.Within(parsed.GetValue(measure), 0, 64, "--measure");
            IReadOnlyList<NodeCapacity> given = NodeList.Read(parsed.GetValue(nodes), parsed.GetValue(node) ?? []);
            if (processes > 0 == given.Count > 0)
            {
                throw new UsageException("name the nodes by --nodes FILE or --node, or use --measure K for processes on this machine");
            }

            PlanReport report = processes > 0
                ? await MeasureAsync(path, cost, processes, parsed.GetValue(stages), parsed.GetValue(kvType)!, parsed.GetValue(json), cancellation)
                : Plan(cost, given, Bounds.Within(parsed.GetValue(count), 0, 1024, "--count"), parsed.GetValue(stages), parsed.GetValue(latency));
            Console.Out.WriteLine(parsed.GetValue(json) ? report.ToJson() : report.ToText());
            return 0;
        });
        return command;
    }

    private static ModelCost Cost(string path, int contextLength, GgmlType kvType)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        if (contextLength > shape.ContextLength)
        {
            throw new UsageException($"--context is {contextLength}; the model was trained for {shape.ContextLength}");
        }

        Dictionary<string, long> tensors = file.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.ByteLength, StringComparer.Ordinal);
        return ModelCost.Of(shape, tensors, contextLength > 0 ? contextLength : Math.Min(shape.ContextLength, DefaultContextLimit), kvType);
    }

    private static PlanReport Plan(ModelCost cost, IReadOnlyList<NodeCapacity> nodes, int count, string? stages, bool latency)
    {
        IReadOnlyList<LayerRange>? ranges = stages is null ? null : LayerRanges.Parse(stages, cost.LayerCount);
        PlanResult result = Planner.Make(new PlanRequest(cost, nodes, count > 0 ? count : nodes.Count, ranges, latency ? PlanObjective.Latency : PlanObjective.Throughput));
        if (result.Plan is not { } plan)
        {
            throw new CommandException(result.Problem!);
        }

        (NodeCapacity, LayerRange)[] layout = [.. plan.Pipelines[0].Stages.Select(stage => (nodes.Single(node => node.Name == stage.Node), stage.Layers))];
        return new PlanReport(cost, PlanForecast.Of(cost, layout, plan.KvBlocks), plan.KvBlocks, plan.MaxSequences, plan.Explanation);
    }

    /// <summary>The layout that a cell on this machine chose, predicted with the figures that its nodes measured of themselves, and what a stream on it really does.</summary>
    private static async Task<PlanReport> MeasureAsync(string path, ModelCost cost, int processes, string? stages, string kvType, bool quiet, CancellationToken cancellation)
    {
        var options = new SessionOptions { ModelPath = path, Nodes = processes, AsCell = true, Stages = stages, ContextLength = cost.ContextLength, KvCacheType = kvType, Devices = [.. Enumerable.Repeat("cpu", processes)] };
        await using ModelSession session = await ModelSession.OpenAsync(options, new LoadProgress(quiet), cancellation);
        Cell cell = session.Cell!;
        DeploymentView view = cell.Deployments[0];

        // As the cell plans: nodes on one machine share its speed, and what their measurements differ by is chance.
        long speed = NodeCapacity.RoundSpeed(cell.Nodes.Max(node => node.BytesPerSecond));
        Dictionary<string, NodeView> nodes = cell.Nodes.ToDictionary(node => node.Name.Value, StringComparer.Ordinal);
        (NodeCapacity, LayerRange)[] layout = [.. view.Stages.Select(stage => (new NodeCapacity(nodes[stage.Node].Name, nodes[stage.Node].MemoryBytes, speed), new LayerRange(stage.FirstLayer, stage.EndLayer)))];
        int tokens = Math.Clamp(cost.ContextLength / 4, 4, 32);
        BenchmarkResult measured = await new Benchmark(tokens, tokens, 3, 1, 0).RunAsync(session, cancellation);
        int blocks = cell.LoadOf(view.Name, out _).KvBlocks;
        return new PlanReport(cost, PlanForecast.Of(cost, layout, blocks), blocks, null, [])
        {
            Measured = new PlanMeasurement(measured.TokensPerSecond, [.. view.Stages.Select(stage => stage.MemoryBytes)]),
        };
    }
}
