using System.Diagnostics;
using Akka.Actor;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Cells;

public sealed class CellSystemTests
{
    [Fact]
    public async Task StartAsync_CoordinatorAndThreeNodes_FormOneCellQuickly()
    {
        await using CellMembers cell = new();
        Stopwatch watch = Stopwatch.StartNew();
        CellSystem front = await cell.FrontAsync();
        await Task.WhenAll(cell.NodeAsync("a", front.ControlEndpoint), cell.NodeAsync("b", front.ControlEndpoint), cell.NodeAsync("c", front.ControlEndpoint));

        await cell.AllUpAsync(4);

        TestContext.Current.TestOutputHelper!.WriteLine($"formed in {watch.ElapsedMilliseconds} ms");
        Assert.Empty(cell.Log);
        Assert.InRange(watch.ElapsedMilliseconds, 0, 20_000);
    }
}
