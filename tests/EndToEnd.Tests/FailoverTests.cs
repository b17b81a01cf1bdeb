using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>Streams survive nodes that die or stand still: each gives what it gives undisturbed, after a pause.</summary>
public sealed class FailoverTests(ITestOutputHelper output)
{
    // Five times what is promised of an idle machine (2 s and 6 s): tests may share theirs with builds. The table tells what was seen.
    private static readonly TimeSpan s_median = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_worst = TimeSpan.FromSeconds(30);

    private static readonly string[] s_roles = ["head", "middle", "tail"];

    private static readonly JsonObject[] s_requests = [.. Enumerable.Range(0, 8).Select(Request)];

    [Trait("Attack", "H4")]
    [Fact]
    public async Task Streams_AnyStageKilledWhileASpareStands_GiveTheUndisturbedAnswers()
    {
        const int Seed = 1;
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 4, plannedNodes: 3);
        var expected = await UndisturbedAsync(cell);
        var random = new Random(Seed);
        var stalls = new StallTable();
        int[] order = [0, 1, 2];
        random.Shuffle(order);
        foreach (int stage in order)
        {
            CellStatus before = await cell.WaitAsync(status => status.Phase == "Ready" && status.Stages.Count == 3 && status.Nodes.Count == 4, "whole again");
            TimedStream[] streams = await StartAsync(cell, events: random.Next(1, 60));
            string victim = before.Stages[stage];
            long killed = Stopwatch.GetTimestamp();
            await cell.KillAsync(victim);
            await EqualAsync(cell, expected, streams);
            stalls.Add($"SIGKILL {s_roles[stage]}", streams, killed);
            await cell.WaitAsync(status => status.Epoch > before.Epoch && status.Stages.Count == 3 && !status.Stages.Contains(victim), "planned without who was killed");
            cell.StartNode(victim);
        }

        output.WriteLine(stalls.ToString());
        stalls.AssertWithin(s_median, s_worst);
    }

    [Trait("Attack", "C9")]
    [Fact]
    public async Task Streams_NodesKilledWithoutASpare_GoOnWithFewerStagesAndReturnToAll()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 3, plannedNodes: 3);
        var expected = await UndisturbedAsync(cell);
        var stalls = new StallTable();
        var random = new Random(2);
        foreach (int left in new[] { 2, 1 })
        {
            CellStatus before = await cell.StatusAsync();
            TimedStream[] streams = await StartAsync(cell, events: random.Next(1, 60));
            int stage = random.Next(before.Stages.Count);
            long killed = Stopwatch.GetTimestamp();
            await cell.KillAsync(before.Stages[stage]);
            await EqualAsync(cell, expected, streams);
            stalls.Add($"SIGKILL {stage + 1} of {left + 1}", streams, killed);
            await cell.WaitAsync(status => status.Epoch > before.Epoch && status.Stages.Count == left, $"planned on {left}");
        }

        TimedStream[] during = await StartAsync(cell, events: 1);
        long returned = Stopwatch.GetTimestamp();
        foreach (string name in new[] { "node-1", "node-2", "node-3" }.Except(cell.Nodes.Keys).ToArray())
        {
            cell.StartNode(name);
        }

        await EqualAsync(cell, expected, during);
        stalls.Add("nodes return", during, returned);
        await cell.WaitAsync(status => status.Stages.Count == 3, "back to three stages");
        output.WriteLine(stalls.ToString());
        stalls.AssertWithin(s_median, s_worst);
    }

    [Fact]
    public async Task Streams_NodeStandsStillForFiveSeconds_GoOnWithoutItAndItRejoinsByItself()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 4, plannedNodes: 3);
        var expected = await UndisturbedAsync(cell);
        var random = new Random(3);
        CellStatus before = await cell.StatusAsync();
        int stage = random.Next(before.Stages.Count);
        string victim = before.Stages[stage];
        int process = cell.Nodes[victim].Id;
        TimedStream[] streams = await StartAsync(cell, events: 20);

        long stopped = Stopwatch.GetTimestamp();
        LaminaProcess.Send(process, ProcessTable.SigStop);
        await Task.Delay(TimeSpan.FromSeconds(5) - Stopwatch.GetElapsedTime(stopped));
        LaminaProcess.Send(process, ProcessTable.SigCont);

        await EqualAsync(cell, expected, streams);
        var stalls = new StallTable();
        stalls.Add($"SIGSTOP 5 s {s_roles[stage]}", streams, stopped);
        output.WriteLine(stalls.ToString());

        // It comes back as the same process, without the stage that was placed elsewhere meanwhile.
        CellStatus after = await cell.WaitAsync(status => status.Nodes.TryGetValue(victim, out var node) && node.MemoryUsedBytes == 0, "rejoined and empty");
        Assert.Equal(process, after.Nodes[victim].ProcessId);
        Assert.DoesNotContain(victim, after.Stages);
        Assert.True(after.Epoch > before.Epoch, after.ToString());
        await cell.KillAsync(after.Stages[0]);
        CellStatus used = await cell.WaitAsync(status => status.Phase == "Ready" && status.Epoch > after.Epoch, "served with the node that came back");
        Assert.Contains(victim, used.Stages);
        await EqualAsync(cell, expected, await StartAsync(cell, events: 1));
        stalls.AssertWithin(2 * s_median, s_worst);
    }

    [Fact]
    public async Task Node_StandsStillUntilTheCellHasRemovedIt_ExitsAndSaysWhy()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 2, plannedNodes: 1);
        LaminaProcess spare = cell.Nodes[cell.Nodes.Keys.Except((await cell.StatusAsync()).Stages).Single()];
        LaminaProcess.Send(spare.Id, ProcessTable.SigStop);
        await Task.Delay(TimeSpan.FromSeconds(12));
        LaminaProcess.Send(spare.Id, ProcessTable.SigCont);

        await spare.WaitForExitAsync(TimeSpan.FromSeconds(120));
        Assert.Equal(1, spare.ExitCode);
        Assert.Contains("the cell took this process for lost and removed it", spare.Error, StringComparison.Ordinal);
    }

    /// <summary>Long tales, half of them greedy, half sampled with a seed; the end of the text is made unlikely, so that they last.</summary>
    private static JsonObject Request(int number)
    {
        JsonObject body = ChatApi.Chat(ChatApi.User($"Tell me a story about a {(number % 4 < 2 ? "red fox" : "blue bird")} in the {(number < 4 ? "forest" : "garden")}."), maxTokens: 300);
        body["logit_bias"] = new JsonObject { ["2"] = -100 };
        if (number % 2 == 1)
        {
            body["temperature"] = 0.9;
            body["seed"] = 1000 + number;
        }

        return body;
    }

    private static async Task<(string Text, string? Finish, int Tokens)[]> UndisturbedAsync(ConfiguredCell cell)
    {
        var answers = await Task.WhenAll(s_requests.Select(body => TimedStream.Start(cell.Http, body).Answer));
        Assert.All(answers, answer => Assert.Equal(("length", 300), (answer.Finish, answer.Tokens)));
        return answers;
    }

    /// <summary>Starts every request and waits until each has had that many events.</summary>
    private static async Task<TimedStream[]> StartAsync(ConfiguredCell cell, int events)
    {
        TimedStream[] streams = [.. s_requests.Select(body => TimedStream.Start(cell.Http, body))];
        await Eventually.TrueAsync(() => streams.All(stream => stream.Events >= events), TimeSpan.FromSeconds(120), "the streams did not start");
        Assert.Contains(streams, stream => !stream.Answer.IsCompleted);
        return streams;
    }

    private static async Task EqualAsync(ConfiguredCell cell, (string, string?, int)[] expected, TimedStream[] streams)
    {
        try
        {
            Assert.Equal(expected, await Task.WhenAll(streams.Select(stream => stream.Answer)).WaitAsync(TimeSpan.FromSeconds(180)));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}\n{cell.Logs}", e);
        }
    }
}
