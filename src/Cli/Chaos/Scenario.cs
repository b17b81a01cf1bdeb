using System.Diagnostics;

namespace Lamina.Cli.Chaos;

/// <summary>What a scenario came to.</summary>
/// <param name="Wrong">What was promised and not kept; 0 when all was.</param>
internal sealed record ScenarioResult(string Name, string Promised, string Seen, int Wrong);

/// <summary>A fault, what is promised of it, and how it is done to a cell under load.</summary>
/// <param name="Run">Gives what was seen, and how much of it was not as promised.</param>
internal sealed record Scenario(string Name, string Promised, Func<ChaosRun, CancellationToken, Task<(string Seen, int Wrong)>> Run)
{
    /// <summary>Whether its processes need networks of their own.</summary>
    public bool NeedsNetwork { get; init; }

    /// <summary>Why something else that it needs is not to be had here, or null.</summary>
    public Func<string?>? OtherLack { get; init; }

    /// <summary>Why it cannot be done here, or null.</summary>
    public string? Lack => NeedsNetwork ? ChaosNetwork.Lack : OtherLack?.Invoke();

    private static readonly int[] s_cutSeconds = [2, 10, 60];

    private const string Undisturbed = "every stream gives the undisturbed answer";

    public static IReadOnlyList<Scenario> All { get; } =
    [
        new("kill-head", Undisturbed, (run, cancellation) => KillStageAsync(run, "SIGKILL head", 0, cancellation)),
        new("kill-middle", Undisturbed, (run, cancellation) => KillStageAsync(run, "SIGKILL middle", 1, cancellation)),
        new("kill-tail", Undisturbed, (run, cancellation) => KillStageAsync(run, "SIGKILL tail", -1, cancellation)),
        new("kill-early", Undisturbed, (run, cancellation) => KillEarlyAsync(run, cancellation)),
        new("kill-two", Undisturbed, (run, cancellation) => KillTwoAsync(run, cancellation)),
        new("kill-coordinator", Undisturbed + ", those of the dead coordinator after going on at another by their ids", (run, cancellation) => KillCoordinatorAsync(run, owner: false, cancellation)),
        new("kill-owner", Undisturbed + ", and another coordinator owns the plan", (run, cancellation) => KillCoordinatorAsync(run, owner: true, cancellation)),
        new("change-coordinator", "streams that are left at one coordinator are read on at another, give the undisturbed answer, and are computed once", KeptScenario.ChangeAsync),
        new("stop-1s", Undisturbed, (run, cancellation) => StopAsync(run, 1, cancellation)),
        new("stop-5s", Undisturbed + ", and the node comes back", (run, cancellation) => StopAsync(run, 5, cancellation)),
        new("stop-30s", Undisturbed + ", and the node, removed meanwhile, ends and says why", (run, cancellation) => StopAsync(run, 30, cancellation)),
        new("power-cut", "every process is killed at once; started anew in any order they form one cell and serve within 60 s", PowerCutAsync),
        new("overload", "each of 500 requests at once is answered, or refused with a time to come back; memory stays bounded, every cache block is given back", LoadScenario.OverloadAsync),
        new("vanish", "callers that go away leave nothing behind; other streams give the undisturbed answer", LoadScenario.VanishAsync),
        new("slow-readers", "callers that read a byte a second hold up nobody: other streams stand still for 6 s at most, every cache block is given back", ScarceScenario.SlowReadersAsync),
        new("starved-node", Undisturbed + "; a node with a tenth of a processor is slow and stays, and no process ends", (run, cancellation) => ScarceScenario.StarveAsync(run, 15, cancellation)),
        new("few-descriptors", Undisturbed + " from coordinators that have no descriptor left; they answer again once they have, and no process ends", ScarceScenario.DescriptorsAsync),
        new("full-disk", Undisturbed + "; a node whose cache has no room says so, and the others serve", ScarceScenario.FullDiskAsync) { OtherLack = () => Environment.IsPrivilegedProcess ? null : "mounting a small disk needs root" },
        new("little-memory", "each of 500 requests at once is answered, or refused with a time to come back, by coordinators and nodes that have a fifth more memory than they took before; no process ends", ScarceScenario.MemoryAsync) { OtherLack = () => MemoryGroup.Lack },
        new("two-tenants", "faults at one tenant break its promises nowhere and cut or change no stream of another tenant's cell", (run, cancellation) => ScarceScenario.TwoTenantsAsync(run, 60, cancellation)),
        .. s_cutSeconds.SelectMany(Cuts),
        new("cut-flapping", Undisturbed + "; one cell afterwards", (run, cancellation) => PartitionScenario.FlapAsync(run, 10, cancellation)) { NeedsNetwork = true },
        new("block-link", Undisturbed + "; what serves moves away from a node whose link port is blocked", (run, cancellation) => LinkScenario.PortAsync(run, link: true, 30, cancellation)) { NeedsNetwork = true },
        new("block-control", Undisturbed + ", also those through a node whose control port is blocked", (run, cancellation) => LinkScenario.PortAsync(run, link: false, 10, cancellation)) { NeedsNetwork = true },
        new("delay", Undisturbed + ", the slower the longer one link takes", LinkScenario.DelayAsync) { NeedsNetwork = true },
        new("pieces", Undisturbed + " over a link that passes a few bytes at a time", LinkScenario.PiecesAsync) { NeedsNetwork = true },
        new("altered", Undisturbed + "; a link that alters a byte is broken off, never believed", LinkScenario.DamageAsync) { NeedsNetwork = true },
        new("reset", Undisturbed + "; links are reset at any byte", LinkScenario.ResetAsync) { NeedsNetwork = true },
        new("loss-1", Undisturbed + ", slower", (run, cancellation) => PartitionScenario.PoorAsync(run, "1 % loss", (network, node) => network.Lose(node, 1), cancellation)) { NeedsNetwork = true },
        new("rate-10mbit", Undisturbed + ", slower", (run, cancellation) => PartitionScenario.PoorAsync(run, "10 Mbit/s", (network, node) => network.Throttle(node, 10), cancellation)) { NeedsNetwork = true },
        new("damaged-cache", "cached weights that were flipped, cut short or emptied are noticed and fetched again, never computed with", DamagedCacheAsync),
        new("drain", Undisturbed + " without a pause for loading, and the node ends with code 0", DrainScenario.DrainAsync),
        new("rolling-restart", "every process is restarted in turn; no request fails, no stream is cut", DrainScenario.RestartAllAsync),
    ];

    private static IEnumerable<Scenario> Cuts(int seconds)
    {
        const string OneCell = Undisturbed + "; one cell afterwards";
        yield return new Scenario($"cut-node-{seconds}s", OneCell, (run, cancellation) => PartitionScenario.NodeAsync(run, seconds, oneWay: false, cancellation)) { NeedsNetwork = true };
        yield return new Scenario($"cut-one-way-{seconds}s", OneCell, (run, cancellation) => PartitionScenario.NodeAsync(run, seconds, oneWay: true, cancellation)) { NeedsNetwork = true };
        yield return new Scenario($"cut-coordinator-{seconds}s", Undisturbed + ", those of the coordinator after going on at another; one cell afterwards", (run, cancellation) => PartitionScenario.CoordinatorAsync(run, seconds, cancellation)) { NeedsNetwork = true };
        yield return new Scenario($"cut-halves-{seconds}s", OneCell, (run, cancellation) => PartitionScenario.HalvesAsync(run, seconds, cancellation)) { NeedsNetwork = true };
    }

    public async Task<ScenarioResult> RunAsync(ChaosRun run, CancellationToken cancellation)
    {
        (string seen, int wrong) = await Run(run, cancellation);
        return new ScenarioResult(Name, Promised, seen, wrong);
    }

    /// <summary>Waits until all processes run, every coordinator knows every node, and a full plan serves.</summary>
    internal static async Task<ChaosStatus> WholeAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus? last = null;
        foreach (string name in run.Cell.CoordinatorNames)
        {
            last = await run.Cell.WaitAsync(status => status.Phase == "Ready" && status.Stages.Count >= run.Cell.Stages && status.MemoryUsedByNode.Count == run.Cell.NodeNames.Count(), $"whole at {name}", name, cancellation);
        }

        return last!;
    }

    private static async Task<(string, int)> KillStageAsync(ChaosRun run, string fault, int stage, CancellationToken cancellation)
    {
        ChaosStatus before = await WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(run.Random.Next(1, 60), cancellation);
        string victim = before.Stages[stage < 0 ? before.Stages.Count + stage : stage];
        long moment = Stopwatch.GetTimestamp();
        await run.Cell[victim].KillAsync();
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add(fault, streams, moment);
        run.Cell.Start(victim);
        return (Describe(streams, wrong, moment), wrong + streams.Sum(stream => stream.Cuts));
    }

    /// <summary>While prompts are computed, as a rule before any stream has its first token.</summary>
    private static async Task<(string, int)> KillEarlyAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus before = await WholeAsync(run, cancellation);
        string victim = before.Stages[run.Random.Next(before.Stages.Count)];
        ChaosStream[] streams = run.StartStreams(cancellation: cancellation);
        await Task.Delay(run.Random.Next(1, 60), cancellation);
        int begun = streams.Count(stream => stream.Events > 0);
        long moment = Stopwatch.GetTimestamp();
        await run.Cell[victim].KillAsync();
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("SIGKILL while prompts run", streams, moment);
        run.Cell.Start(victim);
        return ($"{Describe(streams, wrong, moment)}; {begun} had begun", wrong + streams.Sum(stream => stream.Cuts));
    }

    /// <summary>Head and tail at once: fewer nodes are left than the plan has stages.</summary>
    private static async Task<(string, int)> KillTwoAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus before = await WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(run.Random.Next(1, 60), cancellation);
        string[] victims = [before.Stages[0], before.Stages[^1]];
        long moment = Stopwatch.GetTimestamp();
        await Task.WhenAll(victims.Select(victim => run.Cell[victim].KillAsync()));
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("SIGKILL head and tail", streams, moment);
        foreach (string victim in victims)
        {
            run.Cell.Start(victim);
        }

        return (Describe(streams, wrong, moment), wrong + streams.Sum(stream => stream.Cuts));
    }

    private static async Task<(string, int)> KillCoordinatorAsync(ChaosRun run, bool owner, CancellationToken cancellation)
    {
        ChaosStatus before = await WholeAsync(run, cancellation);
        string victim = owner ? before.Owner : run.Cell.CoordinatorNames.Except([before.Owner]).First();
        ChaosStream[] streams = await run.FlowingAsync(run.Random.Next(1, 60), cancellation);
        Uri address = run.Cell.AddressOf(victim);
        await KeptScenario.MirroredAsync(run.Cell, address, cancellation);
        long moment = Stopwatch.GetTimestamp();
        await run.Cell[victim].KillAsync();
        int wrong = await run.CountWrongAsync(streams);
        string fault = owner ? "SIGKILL owner" : "SIGKILL coordinator";
        run.Stalls.Add(fault + ", others' streams", streams.Where(stream => stream.First != address), moment);
        run.Stalls.Add(fault + ", own streams", streams.Where(stream => stream.First == address), moment);
        int foreignCuts = streams.Where(stream => stream.First != address).Sum(stream => stream.Cuts);
        int repeats = streams.Sum(stream => stream.Repeats);
        string seen = $"{Describe(streams, wrong, moment)}, {repeats} generations unknown elsewhere";
        if (owner)
        {
            ChaosStatus after = await run.Cell.WaitAsync(status => status.Owner != victim && status.Phase == "Ready", "owned by another coordinator", cancellation: cancellation);
            seen += $"; {after.Owner} owned the plan after {Stopwatch.GetElapsedTime(moment).TotalSeconds:0.0} s, epoch {before.Epoch} to {after.Epoch}";
        }

        run.Cell.Start(victim);
        return (seen, wrong + foreignCuts + repeats);
    }

    private static async Task<(string, int)> StopAsync(ChaosRun run, int seconds, CancellationToken cancellation)
    {
        ChaosStatus before = await WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
        string victim = before.Stages[run.Random.Next(before.Stages.Count)];
        long moment = Stopwatch.GetTimestamp();
        run.Cell[victim].Signal(ChaosProcess.SigStop);
        await Task.Delay(TimeSpan.FromSeconds(seconds), cancellation);
        run.Cell[victim].Signal(ChaosProcess.SigCont);
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add($"SIGSTOP {seconds} s", streams, moment);
        if (seconds > 12)
        {
            ChaosProcess removed = run.Cell[victim];
            await removed.Exited.WaitAsync(TimeSpan.FromSeconds(60), cancellation);
            wrong += removed.ExitCode == 1 && removed.Said.Contains("removed it", StringComparison.Ordinal) ? 0 : 1;
            run.Cell.Start(victim);
        }

        await WholeAsync(run, cancellation);
        return (Describe(streams, wrong, moment), wrong + streams.Sum(stream => stream.Cuts));
    }

    /// <summary>All nodes go down, and what they keep is damaged before they come back.</summary>
    private static async Task<(string, int)> DamagedCacheAsync(ChaosRun run, CancellationToken cancellation)
    {
        await WholeAsync(run, cancellation);
        string[] names = [.. run.Cell.NodeNames];
        await Task.WhenAll(names.Select(name => run.Cell[name].KillAsync()));
        int damaged = 0;
        foreach (string path in names.SelectMany(name => Directory.EnumerateFiles(run.Cell.CachePath(name), "*", SearchOption.AllDirectories)))
        {
            byte[] bytes = File.ReadAllBytes(path);
            switch (damaged++ % 3)
            {
                case 0 when bytes.Length > 0:
                    bytes[run.Random.Next(bytes.Length)] ^= (byte)(1 << run.Random.Next(8));
                    break;
                case 1:
                    bytes = bytes[..(bytes.Length / 2)];
                    break;
                default:
                    bytes = [];
                    break;
            }

            // In place of the file: what is kept may be read-only.
            File.Delete(path);
            File.WriteAllBytes(path, bytes);
        }

        foreach (string name in names)
        {
            run.Cell.Start(name);
        }

        await WholeAsync(run, cancellation);
        ChaosStream[] streams = run.StartStreams(cancellation: cancellation);
        int wrong = await run.CountWrongAsync(streams);
        return ($"{damaged} files damaged, {streams.Length - wrong} of {streams.Length} right", wrong + (damaged > 0 ? 0 : 1));
    }

    private static async Task<(string, int)> PowerCutAsync(ChaosRun run, CancellationToken cancellation)
    {
        await WholeAsync(run, cancellation);
        string[] names = [.. run.Cell.CoordinatorNames, .. run.Cell.NodeNames];
        await Task.WhenAll(names.Select(name => run.Cell[name].KillAsync()));
        run.Random.Shuffle(names);
        long moment = Stopwatch.GetTimestamp();
        foreach (string name in names)
        {
            run.Cell.Start(name);
            await Task.Delay(run.Random.Next(500), cancellation);
        }

        await WholeAsync(run, cancellation);
        TimeSpan took = Stopwatch.GetElapsedTime(moment);
        var owners = new HashSet<string>();
        foreach (string name in run.Cell.CoordinatorNames)
        {
            owners.Add((await run.Cell.WaitAsync(status => status.Owner.Length > 0, "owned", name, cancellation)).Owner);
        }

        ChaosStream[] streams = run.StartStreams(cancellation: cancellation);
        int wrong = await run.CountWrongAsync(streams);
        return ($"started in the order {string.Join(", ", names)}: whole after {took.TotalSeconds:0.0} s, owned by {string.Join(" and ", owners)}, {streams.Length - wrong} of {streams.Length} right",
            wrong + (owners.Count == 1 ? 0 : 1) + (took > TimeSpan.FromSeconds(60) ? 1 : 0));
    }

    internal static string Describe(ChaosStream[] streams, int wrong, long moment)
    {
        TimeSpan[] stalls = [.. streams.Select(stream => stream.LongestGapAfter(moment)).Where(gap => gap > TimeSpan.Zero).Order()];
        string pause = stalls.Length == 0 ? "no stream was left" : $"stalls up to {stalls[^1].TotalSeconds:0.00} s, median {stalls[stalls.Length / 2].TotalSeconds:0.00} s";
        return $"{streams.Length - wrong} of {streams.Length} right, {streams.Sum(stream => stream.Cuts)} connections cut, {pause}";
    }
}
