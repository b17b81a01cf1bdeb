using System.Diagnostics;

namespace Lamina.Cli.Chaos;

/// <summary>Processes that are cut off from each other and find together again.</summary>
internal static class PartitionScenario
{
    /// <summary>A bad network between all: slower, never wrong.</summary>
    public static async Task<(string, int)> PoorAsync(ChaosRun run, string fault, Action<ChaosNetwork, string> worsen, CancellationToken cancellation)
    {
        await Scenario.WholeAsync(run, cancellation);
        foreach (string name in run.Cell.NodeNames)
        {
            worsen(run.Cell.Network!, name);
        }

        long moment = Stopwatch.GetTimestamp();
        try
        {
            ChaosStream[] streams = await run.FlowingAsync(1, cancellation);
            int wrong = await run.CountWrongAsync(streams);
            run.Stalls.Add(fault, streams, moment);
            return ($"{Scenario.Describe(streams, wrong, moment)}, all in {Stopwatch.GetElapsedTime(moment).TotalSeconds:0.0} s", wrong + streams.Sum(stream => stream.Cuts));
        }
        finally
        {
            run.Cell.Network!.Heal();
        }
    }

    /// <param name="oneWay">Only what the cell sends to the node is lost.</param>
    public static Task<(string, int)> NodeAsync(ChaosRun run, int seconds, bool oneWay, CancellationToken cancellation) =>
        CutAsync(run, oneWay ? $"node cut off one way {seconds} s" : $"node cut off {seconds} s", before => [before.Stages[run.Random.Next(before.Stages.Count)]], seconds, oneWay, cancellation);

    public static Task<(string, int)> CoordinatorAsync(ChaosRun run, int seconds, CancellationToken cancellation) =>
        CutAsync(run, $"coordinator cut off {seconds} s", before => [run.Cell.CoordinatorNames.Except([before.Owner]).First()], seconds, oneWay: false, cancellation);

    /// <summary>A coordinator and half of the nodes on each side.</summary>
    public static Task<(string, int)> HalvesAsync(ChaosRun run, int seconds, CancellationToken cancellation) =>
        CutAsync(run, $"halves {seconds} s", before =>
        {
            string[] nodes = [.. run.Cell.NodeNames];
            return [run.Cell.CoordinatorNames.Last(), .. nodes[(nodes.Length / 2)..]];
        }, seconds, oneWay: false, cancellation);

    /// <summary>A node is cut off for a second and back for a second, again and again.</summary>
    public static async Task<(string, int)> FlapAsync(ChaosRun run, int times, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
        string victim = before.Stages[run.Random.Next(before.Stages.Count)];
        string[] all = [.. cell.CoordinatorNames, .. cell.NodeNames];
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task restarts = RestartEndedAsync(cell, all, ending.Token);
        long moment = Stopwatch.GetTimestamp();
        for (int i = 0; i < times; i++)
        {
            cell.Network!.Cut([victim], [.. all.Except([victim])]);
            await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
            cell.Network.Heal();
            await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
        }

        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("node flapping", streams, moment);
        await Scenario.WholeAsync(run, cancellation);
        await ending.CancelAsync();
        await restarts;
        int owners = await CountOwnersAsync(cell, cancellation);
        return ($"{Scenario.Describe(streams, wrong, moment)}; {times} times cut off was {victim}; {owners} owner", wrong + owners - 1);
    }

    /// <summary>Each coordinator must tell of the same owner: two cells would each have one.</summary>
    private static async Task<int> CountOwnersAsync(ChaosCell cell, CancellationToken cancellation)
    {
        var owners = new HashSet<string>();
        foreach (string coordinator in cell.CoordinatorNames)
        {
            owners.Add((await cell.WaitAsync(status => status.Owner.Length > 0, "owned", coordinator, cancellation)).Owner);
        }

        return owners.Count;
    }

    private static async Task<(string, int)> CutAsync(ChaosRun run, string fault, Func<ChaosStatus, string[]> side, int seconds, bool oneWay, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
        string[] cut = side(before);
        string[] all = [.. cell.CoordinatorNames, .. cell.NodeNames];
        Dictionary<string, int> processes = all.ToDictionary(name => name, name => cell[name].Id);
        long moment = Stopwatch.GetTimestamp();
        cell.Network!.Cut(cut, [.. all.Except(cut)], oneWay);
        await Task.Delay(TimeSpan.FromSeconds(seconds), cancellation);
        cell.Network.Heal();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task restarts = RestartEndedAsync(cell, all, ending.Token);
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add(fault, streams, moment);
        await Scenario.WholeAsync(run, cancellation);
        await ending.CancelAsync();
        await restarts;

        // Each coordinator must tell of the same owner: two cells would each have one.
        var owners = new HashSet<string>();
        foreach (string coordinator in cell.CoordinatorNames)
        {
            owners.Add((await cell.WaitAsync(status => status.Owner.Length > 0, "owned", coordinator, cancellation)).Owner);
        }

        string[] restarted = [.. all.Where(name => cell[name].Id != processes[name])];
        string[] strangers = [.. restarted.Except(cut)];
        int splits = owners.Count == 1 ? 0 : 1;
        return ($"{Scenario.Describe(streams, wrong, moment)}; owner {string.Join(" and ", owners)}; cut off were {string.Join(", ", cut)}, ended and started anew {(restarted.Length == 0 ? "none" : string.Join(", ", restarted))}",
            wrong + splits + (oneWay || cut.Length > all.Length / 2 - 1 ? 0 : strangers.Length));
    }

    /// <summary>Waits until all is whole, and starts anew meanwhile what ends.</summary>
    public static async Task WholeWithRestartsAsync(ChaosRun run, string[] names, CancellationToken cancellation)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task restarts = RestartEndedAsync(run.Cell, names, ending.Token);
        await Scenario.WholeAsync(run, cancellation);
        await ending.CancelAsync();
        await restarts;
    }

    /// <summary>Stands for whatever supervises the processes.</summary>
    private static async Task RestartEndedAsync(ChaosCell cell, string[] names, CancellationToken ending)
    {
        try
        {
            while (true)
            {
                foreach (string name in names.Where(name => !cell.IsRunning(name)))
                {
                    cell.Start(name);
                }

                await Task.Delay(200, ending);
            }
        }
        catch (OperationCanceledException)
        {
            // All is whole again.
        }
    }
}
