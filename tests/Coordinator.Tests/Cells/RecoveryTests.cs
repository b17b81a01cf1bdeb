using System.Text.Json;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

public class RecoveryTests
{
    private const string Story = "Tell me a story about a red fox in the forest.";

    [Fact]
    public async Task Node_StoppedWhileAnAnswerStreams_TheAnswerGoesOnAsIfNothingHadHappened()
    {
        await using TestCell cell = await TestCell.StartAsync(CellTests.Tiny(nodes: 3), "node-1", "node-2", "node-3");
        DeploymentView before = await cell.ReadyAsync("tiny");
        string body = CellTests.Chat(Story, "\"stream\":true");
        string undisturbed = CellTests.Text(await CellTests.StreamAsync(cell, "/v1/chat/completions", body, null));

        Task? stopping = null;
        List<JsonElement> chunks = await CellTests.StreamAsync(cell, "/v1/chat/completions", body, count =>
        {
            stopping ??= count >= 10 ? cell.StopNodeAsync(before.Stages[1].Node) : null;
            return Task.CompletedTask;
        });
        await stopping!;

        Assert.Equal(undisturbed, CellTests.Text(chunks));
        DeploymentView after = await cell.UntilAsync(view => view.Phase == DeploymentPhase.Ready && view.Epoch > before.Epoch);
        Assert.Equal(2, after.Stages.Count);
        Assert.DoesNotContain(before.Stages[1].Node, after.Stages.Select(stage => stage.Node));
    }

    [Fact]
    public async Task Node_ComesBack_TheFullPlanReplacesTheSmallOne()
    {
        await using TestCell cell = await TestCell.StartAsync(CellTests.Tiny(nodes: 2), "node-1", "node-2");
        await cell.ReadyAsync("tiny");
        await cell.StopNodeAsync("node-2");
        await cell.UntilAsync(view => view.Phase == DeploymentPhase.Ready && view.Stages.Count == 1);

        await cell.StartNodeAsync("node-2");
        await cell.UntilAsync(view => view.Phase == DeploymentPhase.Ready && view.Stages.Count == 2);

        JsonElement answer = await cell.PostAsync("/v1/chat/completions", CellTests.Chat("What is 2 + 3?"));
        Assert.Equal("2 + 3 = 5.", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }
}
