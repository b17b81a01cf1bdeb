using System.Diagnostics;

namespace Lamina.Cli.Chaos;

/// <summary>Processes that are asked to end while streams run.</summary>
internal static class DrainScenario
{
    public static async Task<(string, int)> DrainAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(run.Random.Next(1, 60), cancellation);
        string victim = before.Stages[run.Random.Next(before.Stages.Count)];
        long moment = Stopwatch.GetTimestamp();
        using HttpResponseMessage asked = await run.Cell.Http.PostAsync(new Uri(run.Cell.Addresses[0], $"v1/nodes/{victim}/drain"), null, cancellation);
        asked.EnsureSuccessStatusCode();
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("drain", streams, moment);
        ChaosProcess process = run.Cell[victim];
        await process.Exited.WaitAsync(TimeSpan.FromSeconds(60), cancellation);
        string seen = $"{Scenario.Describe(streams, wrong, moment)}; {victim} ended with code {process.ExitCode} after {Stopwatch.GetElapsedTime(moment).TotalSeconds:0.0} s";
        run.Cell.Start(victim);
        return (seen, wrong + streams.Sum(stream => stream.Cuts) + (process.ExitCode == 0 ? 0 : 1));
    }

    /// <summary>Each process ends on SIGTERM and is started again while streams come and go; a new stream goes to whichever coordinator takes it.</summary>
    public static async Task<(string, int)> RestartAllAsync(ChaosRun run, CancellationToken cancellation)
    {
        await Scenario.WholeAsync(run, cancellation);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task<(int Streams, int Wrong, int Cuts)> load = LoadAsync(run, ending.Token, cancellation);
        int badExits = 0;
        long begun = Stopwatch.GetTimestamp();
        foreach (string name in run.Cell.NodeNames.Concat(run.Cell.CoordinatorNames))
        {
            ChaosProcess process = run.Cell[name];
            process.Signal(ChaosProcess.SigTerm);
            await process.Exited.WaitAsync(TimeSpan.FromSeconds(60), cancellation);
            badExits += process.ExitCode == 0 ? 0 : 1;
            run.Cell.Start(name);
            await Scenario.WholeAsync(run, cancellation);
        }

        string took = $"{Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s";
        await ending.CancelAsync();
        (int streams, int wrong, int cuts) = await load;
        return ($"{streams} streams meanwhile, {wrong} wrong, {cuts} cut; {run.Cell.NodeNames.Count() + run.Cell.CoordinatorNames.Count()} processes restarted in {took}, {badExits} with a bad exit code", wrong + cuts + badExits);
    }

    /// <summary>One round of streams after the other until it is told to end.</summary>
    private static async Task<(int Streams, int Wrong, int Cuts)> LoadAsync(ChaosRun run, CancellationToken ending, CancellationToken cancellation)
    {
        (int streams, int wrong, int cuts) = (0, 0, 0);
        while (!ending.IsCancellationRequested)
        {
            long begun = Stopwatch.GetTimestamp();
            ChaosStream[] round = run.StartStreams(cancellation: cancellation);
            wrong += await run.CountWrongAsync(round);
            cuts += round.Sum(stream => stream.Cuts);
            streams += round.Length;
            run.Stalls.Add("rolling restart", round, begun);
        }

        return (streams, wrong, cuts);
    }
}
