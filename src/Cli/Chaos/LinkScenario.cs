using System.Diagnostics;
using System.Globalization;

namespace Lamina.Cli.Chaos;

/// <summary>One link between stages that is slow, or alters and breaks what passes; and ports that are blocked while others are open.</summary>
internal static class LinkScenario
{
    private static readonly int[] s_delays = [0, 5, 50, 100];

    /// <summary>Slower with each delay, never wrong; the throughput is printed beside each.</summary>
    public static Task<(string, int)> DelayAsync(ChaosRun run, CancellationToken cancellation) => ThroughProxyAsync(run, async proxy =>
    {
        var curve = new List<string>();
        int wrong = 0;
        foreach (int delay in s_delays)
        {
            (proxy.Delay, proxy.Jitter) = (TimeSpan.FromMilliseconds(delay), TimeSpan.FromMilliseconds(delay / 5.0));
            long begun = Stopwatch.GetTimestamp();
            ChaosStream[] streams = await run.FlowingAsync(1, cancellation);
            wrong += await run.CountWrongAsync(streams) + streams.Sum(stream => stream.Cuts);
            int tokens = 0;
            foreach (ChaosStream stream in streams.Where(stream => stream.Answer.IsCompletedSuccessfully))
            {
                tokens += (await stream.Answer).Tokens;
            }

            run.Stalls.Add($"link delayed {delay} ms", streams, begun);
            curve.Add(string.Create(CultureInfo.InvariantCulture, $"{delay} ms {tokens / Stopwatch.GetElapsedTime(begun).TotalSeconds:0}"));
        }

        return ($"tokens/s of {run.StreamCount} streams at a delay each way on one link: {string.Join(", ", curve)}; {wrong} wrong or cut", wrong);
    }, cancellation);

    public static Task<(string, int)> PiecesAsync(ChaosRun run, CancellationToken cancellation) => ThroughProxyAsync(run, async proxy =>
    {
        proxy.LongestPiece = 3;
        return await StreamAsync(run, "link in pieces", () => "pieces of 1 to 3 bytes", cancellation);
    }, cancellation);

    public static Task<(string, int)> DamageAsync(ChaosRun run, CancellationToken cancellation) => ThroughProxyAsync(run, proxy => BreakAsync(run, proxy, "link with altered bytes", proxy.Damage, () => proxy.Damages, cancellation), cancellation);

    public static Task<(string, int)> ResetAsync(ChaosRun run, CancellationToken cancellation) => ThroughProxyAsync(run, proxy => BreakAsync(run, proxy, "link reset", proxy.Reset, () => proxy.Resets, cancellation), cancellation);

    /// <summary>A node whose one port is cut off while the other is within reach.</summary>
    public static async Task<(string, int)> PortAsync(ChaosRun run, bool link, int seconds, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
        string victim = before.Stages[1];
        string[] all = [.. cell.CoordinatorNames, .. cell.NodeNames];
        long moment = Stopwatch.GetTimestamp();
        cell.Network!.CutPorts(victim, [.. all.Except([victim])], [.. all.Select(name => link ? cell.LinkPortOf(name) : cell.ControlPortOf(name))]);
        await Task.Delay(TimeSpan.FromSeconds(seconds), cancellation);
        ChaosStatus? meanwhile = await cell.StatusAsync(cancellation: cancellation);
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add(link ? "link port blocked" : "control port blocked", streams, moment);
        cell.Network.Heal();
        await PartitionScenario.WholeWithRestartsAsync(run, all, cancellation);
        return ($"{Scenario.Describe(streams, wrong, moment)}; {victim} was blocked, after {seconds} s {meanwhile?.Phase} on {string.Join(", ", meanwhile?.Stages ?? [])}", wrong + streams.Sum(stream => stream.Cuts));
    }

    private static async Task<(string, int)> StreamAsync(ChaosRun run, string fault, Func<string> seen, CancellationToken cancellation)
    {
        long moment = Stopwatch.GetTimestamp();
        ChaosStream[] streams = await run.FlowingAsync(1, cancellation);
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add(fault, streams, moment);
        return ($"{Scenario.Describe(streams, wrong, moment)}, all in {Stopwatch.GetElapsedTime(moment).TotalSeconds:0.0} s; {seen()}", wrong + streams.Sum(stream => stream.Cuts));
    }

    /// <summary>The first link is made anew, so that what is to break it lies ahead; the pipelines that replace it are broken in turn.</summary>
    private static async Task<(string, int)> BreakAsync(ChaosRun run, ChaosProxy proxy, string fault, Action<int> arm, Func<int> count, CancellationToken cancellation)
    {
        const int Times = 3;
        arm(Times);
        proxy.BreakAll();
        int wrong = 0;
        string seen = "";
        for (int round = 0; round < 4 && (round == 0 || count() < Times); round++)
        {
            (seen, int more) = await StreamAsync(run, fault, () => $"{count()} links broken in {round + 1} rounds", cancellation);
            wrong += more;
        }

        return (seen, wrong + (count() > 0 ? 0 : 1));
    }

    /// <summary>
    /// The proxy stands before the middle stage. Another node is killed, so that no plan can do without that one and every link is made anew, through the proxy.
    /// </summary>
    private static async Task<(string, int)> ThroughProxyAsync(ChaosRun run, Func<ChaosProxy, Task<(string, int)>> act, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        string node = before.Stages[before.Stages.Count / 2], other = before.Stages[0];
        using ChaosProxy proxy = ChaosProxy.Start(cell.Network!, node, cell.LinkPortOf(node), run.Random.Next());
        try
        {
            await cell[other].KillAsync();
            await cell.WaitAsync(status => status.Phase == "Ready" && status.Epoch > before.Epoch && status.Stages.Contains(node) && proxy.Connections > 0, $"serving through the proxy before {node}", cancellation: cancellation);
            return await act(proxy);
        }
        finally
        {
            cell.Network!.Heal();
            proxy.Dispose();
            if (!cell.IsRunning(other))
            {
                cell.Start(other);
            }

            await Scenario.WholeAsync(run, cancellation);
        }
    }
}
