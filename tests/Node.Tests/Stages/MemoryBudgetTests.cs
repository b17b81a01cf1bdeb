using Lamina.Cluster.Messages;
using Lamina.Node.Stages;

namespace Lamina.Node.Tests.Stages;

public sealed class MemoryBudgetTests
{
    private readonly MemoryBudget _memory = new(100);

    [Fact]
    public async Task Reserve_WhatIsLeft_IsHeldUntilReleased()
    {
        Assert.Null(await ReserveAsync(1, 60));
        Assert.Null(await ReserveAsync(2, 40));
        Assert.Equal(100, _memory.Used);

        _memory.Release(Stage(1));
        Assert.Equal(40, _memory.Used);
    }

    [Trait("Attack", "R3")]
    [Fact]
    public async Task Reserve_MoreThanIsLeft_IsRefusedWithBothFigures()
    {
        Assert.Null(await ReserveAsync(1, 60));

        Assert.Equal("stage m/2/0/0 needs 50 bytes, the node has 40 of 100 left", await ReserveAsync(2, 50));
    }

    [Fact]
    public async Task Reserve_WhileAStageThatMakesRoomIsLeaving_WaitsForIt()
    {
        Assert.Null(await ReserveAsync(1, 60));
        _memory.Leave(Stage(1));
        Task<string?> next = ReserveAsync(2, 50);
        Assert.False(next.IsCompleted);

        _memory.Release(Stage(1));
        Assert.Null(await next);
        Assert.Equal(50, _memory.Used);
    }

    [Fact]
    public async Task Reserve_MoreThanLeavingStagesGive_IsRefusedAtOnce()
    {
        Assert.Null(await ReserveAsync(1, 60));
        Assert.Null(await ReserveAsync(2, 30));
        _memory.Leave(Stage(2));

        Assert.NotNull(await ReserveAsync(3, 50));
    }

    private Task<string?> ReserveAsync(int epoch, long bytes) => _memory.ReserveAsync(Stage(epoch), bytes, TestContext.Current.CancellationToken);

    private static StageAddress Stage(int epoch) => new(new DeploymentId("m"), epoch, 0, 0);
}
