using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Operations;

/// <summary><c>lamina plan</c> and <c>lamina status</c> as an operator runs them.</summary>
public sealed partial class PlanAndStatusTests(ServedModel served, ITestOutputHelper output) : IClassFixture<ServedModel>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);
    private static readonly string s_model = Repository.File("models/lamina-tiny-q8_0.gguf");

    [Fact]
    public async Task Plan_ForNodesOfAFile_PlacesEveryLayerAndGivesTheFastNodeMore()
    {
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "nodes.json");
        await File.WriteAllTextAsync(file, """[{"name": "slow", "memory": "1GiB", "speed": "1GB"}, {"name": "fast", "memory": "1GiB", "speed": "24Gbit/s", "latency": "0.2ms", "bandwidth": "10Gbit"}]""");
        using LaminaProcess plan = await LaminaProcess.RunAsync(s_limit, "plan", s_model, "--nodes", file, "--json");
        Assert.True(plan.ExitCode == 0, plan.Error);
        JsonNode json = JsonNode.Parse(plan.Output)!;
        JsonNode[] stages = [.. json["stages"]!.AsArray().OfType<JsonNode>()];
        Assert.Equal(2, stages.Length);
        Assert.Equal(0, Whole(stages[0], "firstLayer"));
        Assert.Equal(Whole(stages[0], "lastLayer") + 1, Whole(stages[1], "firstLayer"));
        int LayersOf(string node) => stages.Where(stage => stage["node"]!.GetValue<string>() == node).Sum(stage => Whole(stage, "lastLayer") - Whole(stage, "firstLayer") + 1);
        Assert.True(LayersOf("fast") > LayersOf("slow"), plan.Output);
        Assert.NotEmpty(json["explanation"]!.AsArray());

        using LaminaProcess text = await LaminaProcess.RunAsync(s_limit, "plan", s_model, "--node", "one=1GiB,1GB");
        Assert.Contains("predicted:", text.Output, StringComparison.Ordinal);
        Assert.Contains("one holds layers", text.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "does not fit in memory", "--node", "a=1MiB,1GB")]
    [InlineData(2, "expected NAME=MEMORY,SPEED", "--node", "a")]
    [InlineData(2, "speed is 'fast'", "--node", "a=1GiB,fast")]
    [InlineData(2, "named twice", "--node", "a=1GiB,1GB", "--node", "a=1GiB,1GB")]
    [InlineData(2, "--nodes FILE or --node")]
    public async Task Plan_ThatCannotBe_SaysWhy(int exitCode, string sentence, params string[] arguments)
    {
        using LaminaProcess plan = await LaminaProcess.RunAsync(s_limit, ["plan", s_model, .. arguments]);
        Assert.Equal(exitCode, plan.ExitCode);
        Assert.Contains(sentence, Assert.Single(plan.Error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_Measured_ShowsThePredictionBesideTheRun()
    {
        using LaminaProcess plan = await LaminaProcess.RunAsync(s_limit, "plan", s_model, "--measure", "2", "--context", "256", "--json");
        Assert.True(plan.ExitCode == 0, plan.Error);
        JsonNode json = JsonNode.Parse(plan.Output)!;
        double predicted = json["tokensPerSecond"]!.GetValue<double>(), measured = json["measuredTokensPerSecond"]!.GetValue<double>();
        output.WriteLine($"predicted {predicted} tokens/s, measured {measured}");
        Assert.True(predicted > 0 && measured > 0, plan.Output);

        // The planner counts weights, the cache and a sixteenth more; buffers of a step come besides, which a model of four million weights feels.
        foreach (JsonNode stage in json["stages"]!.AsArray().OfType<JsonNode>())
        {
            double share = stage["measuredMemoryBytes"]!.GetValue<double>() / stage["memoryBytes"]!.GetValue<double>();
            output.WriteLine($"memory: {share:0.00} of the prediction");
            Assert.InRange(share, 0.2, 20);
        }
    }

    [Fact]
    public async Task Status_OfACell_NamesModelStagesAndNodes()
    {
        // A busy machine may lose a node for a moment: the cell is then planned anew, and what it says is asked once more.
        string seen = "";
        await Eventually.TrueAsync(
            async () =>
            {
                using LaminaProcess status = await LaminaProcess.RunAsync(s_limit, "status", "--url", served.Http.BaseAddress!.ToString());
                Assert.True(status.ExitCode == 0, status.Error);
                seen = status.Output;
                return seen.Contains($"{ServedModel.ModelName} Ready, epoch ", StringComparison.Ordinal) && Node().Count(seen) == 3;
            },
            s_limit, "the cell is not whole");
        Assert.Equal(3, Stage().Count(seen));
        Assert.Equal(["node node-1", "node node-2", "node node-3"], Node().Matches(seen).Select(match => match.Value).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task StatusWatch_WithoutATerminal_PrintsLinesUntilInterrupted()
    {
        using LaminaProcess watch = LaminaProcess.Start("status", "--url", served.Http.BaseAddress!.ToString(), "--watch", "--interval", "0.05");
        await Eventually.TrueAsync(() => watch.HasExited || watch.Output.Split('\n').Count(line => line.Contains($"{ServedModel.ModelName} Ready", StringComparison.Ordinal)) >= 3, s_limit, watch.Error);
        watch.Signal(PosixSignal.SIGINT);
        await watch.WaitForExitAsync(s_limit);
        Assert.True(watch.ExitCode == 0, watch.Error);
        Assert.DoesNotContain("\e[", watch.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StatusWatch_OnATerminal_RedrawsATableInPlace()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "script, which gives a command a terminal, is not on this machine");
        ProcessStartInfo start = new("/usr/bin/script", ["-qec", $"stty rows 60 cols 200; exec {LaminaProcess.Executable} status --url {served.Http.BaseAddress} --watch --interval 0.05", "/dev/null"]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["TERM"] = "xterm";
        using Process script = Process.Start(start)!;
        try
        {
            var seen = new StringBuilder();
            char[] buffer = new char[4096];
            using CancellationTokenSource deadline = new(s_limit);
            while (Up().Count(seen.ToString()) < 2)
            {
                int read = await script.StandardOutput.ReadAsync(buffer, deadline.Token);
                Assert.True(read > 0, seen.ToString());
                seen.Append(buffer, 0, read);
            }

            Assert.Contains("tokens/s", seen.ToString(), StringComparison.Ordinal);
            Assert.Contains("node-3", seen.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            script.Kill(entireProcessTree: true);
            await script.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task Status_WhereNobodyAnswers_FailsWithOneSentence()
    {
        using LaminaProcess status = await LaminaProcess.RunAsync(s_limit, "status", "--url", "http://127.0.0.1:1");
        Assert.Equal(1, status.ExitCode);
        Assert.Contains("no coordinator answers at http://127.0.0.1:1/", Assert.Single(status.Error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    private static int Whole(JsonNode node, string name) => node[name]!.GetValue<int>();

    [GeneratedRegex(@"stage \d\.\d ")]
    private static partial Regex Stage();

    [GeneratedRegex(@"^node node-\d", RegexOptions.Multiline)]
    private static partial Regex Node();

    /// <summary>The cursor goes up, to write over what it wrote.</summary>
    [GeneratedRegex(@"\e\[\d*A")]
    private static partial Regex Up();
}
