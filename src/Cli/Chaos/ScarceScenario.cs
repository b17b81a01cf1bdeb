using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Chaos;

/// <summary>Processes that lack something: time on a processor, room on a disk, descriptors, readers.</summary>
internal static class ScarceScenario
{
    private const int SlowReaders = 40;
    private const int IdleConnections = 300;
    private const int OpenFiles = 7;

    private static readonly TimeSpan s_othersBound = TimeSpan.FromSeconds(6);

    /// <summary>A node gets a tenth of a processor: it is slow, but it is there.</summary>
    public static async Task<(string, int)> StarveAsync(ChaosRun run, int seconds, CancellationToken cancellation)
    {
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        int[] processes = [.. run.Cell.Running.Select(process => process.Id).Order()];
        ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
        ChaosProcess victim = run.Cell[before.Stages[1]];
        long moment = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(moment) < TimeSpan.FromSeconds(seconds))
        {
            victim.Signal(ChaosProcess.SigStop);
            await Task.Delay(180, cancellation);
            victim.Signal(ChaosProcess.SigCont);
            await Task.Delay(20, cancellation);
        }

        ChaosStatus? after = await run.Cell.StatusAsync(cancellation: cancellation);
        int wrong = await run.CountWrongAsync(streams);
        run.Stalls.Add("node without time", streams, moment);
        await Scenario.WholeAsync(run, cancellation);
        int ended = processes.Except(run.Cell.Running.Select(process => process.Id)).Count();
        return ($"{Scenario.Describe(streams, wrong, moment)}; {victim.Name} had a tenth of a processor for {seconds} s, epoch {before.Epoch} to {after?.Epoch}, {ended} processes ended", wrong + streams.Sum(stream => stream.Cuts) + ended);
    }

    /// <summary>Callers that read a byte a second, and in the end not at all: they hold up nobody, and what they held comes back.</summary>
    public static async Task<(string, int)> SlowReadersAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus idle = await LoadScenario.IdleAsync(run, cancellation);
        long memoryBefore = LoadScenario.ResidentBytes(run);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task<int>[] readers = [.. Enumerable.Range(0, SlowReaders).Select(number => DripAsync(run, number, leaving.Token))];
        (int wrong, int count, TimeSpan worst, long begun) = (0, 0, TimeSpan.Zero, Stopwatch.GetTimestamp());
        for (int round = 0; round < 3; round++)
        {
            long moment = Stopwatch.GetTimestamp();
            ChaosStream[] others = await run.FlowingAsync(1, cancellation);
            wrong += await run.CountWrongAsync(others) + others.Sum(stream => stream.Cuts);
            count += others.Length;
            worst = others.Select(stream => stream.LongestGapAfter(moment)).Append(worst).Max();
            run.Stalls.Add("beside slow readers", others, moment);
        }

        ChaosStatus? meanwhile = await run.Cell.StatusAsync(cancellation: cancellation);
        long memoryAfter = LoadScenario.ResidentBytes(run);
        await leaving.CancelAsync();
        int read = (await Task.WhenAll(readers)).Sum();
        ChaosStatus settled = await LoadScenario.IdleAsync(run, cancellation);
        int lostBlocks = idle.KvBlocks - settled.FreeKvBlocks;
        return ($"{SlowReaders} callers read {read} bytes in {Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s, {meanwhile?.Active} generations active and {meanwhile?.FreeKvBlocks} of {idle.KvBlocks} blocks free meanwhile; {count - wrong} of {count} other streams right, none stood still for longer than {worst.TotalSeconds:0.00} s; memory of all processes {memoryBefore >> 20} to {memoryAfter >> 20} MiB; {settled.FreeKvBlocks} of {idle.KvBlocks} cache blocks free afterwards, {settled.Active} generations active",
            wrong + Math.Max(0, lostBlocks) + settled.Active + (worst > s_othersBound ? 1 : 0));
    }

    /// <summary>Coordinators may open few descriptors more, and somebody holds connections: what runs goes on, and all is well once they are gone.</summary>
    public static async Task<(string, int)> DescriptorsAsync(ChaosRun run, CancellationToken cancellation)
    {
        await Scenario.WholeAsync(run, cancellation);
        int[] processes = [.. run.Cell.Running.Select(process => process.Id).Order()];
        ChaosStream[] streams = await run.FlowingAsync(5, cancellation);
        long moment = Stopwatch.GetTimestamp();
        var limits = run.Cell.CoordinatorNames.ToDictionary(name => name, name => Limit(run.Cell[name].Id, Directory.GetFiles($"/proc/{run.Cell[name].Id}/fd").Length + 64));
        var held = new List<Socket>();
        try
        {
            for (int i = 0; i < IdleConnections; i++)
            {
                held.Add(await run.Cell.ConnectAsync(run.Cell.CoordinatorNames.ElementAt(i % limits.Count), 0, cancellation));
            }

            int wrong = await run.CountWrongAsync(streams) + streams.Sum(stream => stream.Cuts);
            run.Stalls.Add("few descriptors", streams, moment);
            held.ForEach(socket => socket.Dispose());
            int refused = 0;
            foreach (string name in run.Cell.CoordinatorNames)
            {
                using HttpResponseMessage answer = await run.Cell.Http.PostAsJsonAsync(new Uri(run.Cell.AddressOf(name), "v1/chat/completions"), run.Short(0), cancellation);
                refused += answer.StatusCode == HttpStatusCode.OK ? 0 : 1;
            }

            int ended = processes.Except(run.Cell.Running.Select(process => process.Id)).Count();
            return ($"{Scenario.Describe(streams, wrong, moment)}; {IdleConnections} connections were held at coordinators that could open 64 descriptors more; {refused} refused afterwards, {ended} processes ended", wrong + refused + ended);
        }
        finally
        {
            held.ForEach(socket => socket.Dispose());
            foreach ((string name, ulong limit) in limits)
            {
                Limit(run.Cell[name].Id, (long)limit);
            }
        }
    }

    /// <summary>A node whose cache has no room is asked for a stage when no other is left for it: it says so, and the others serve.</summary>
    public static async Task<(string, int)> FullDiskAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        ChaosStatus before = await Scenario.WholeAsync(run, cancellation);
        (string full, string dead) = (before.Stages[1], before.Stages[0]);
        await cell[full].KillAsync();
        string cache = cell.CachePath(full);
        Directory.Delete(cache, recursive: true);
        Directory.CreateDirectory(cache);
        ChaosNetwork.Run("mount", "-t", "tmpfs", "-o", "size=64k", "lamina-chaos", cache);
        try
        {
            cell.Start(full);
            await Scenario.WholeAsync(run, cancellation);
            ChaosStream[] streams = await run.FlowingAsync(20, cancellation);
            long moment = Stopwatch.GetTimestamp();
            await cell[dead].KillAsync();
            int wrong = await run.CountWrongAsync(streams);
            run.Stalls.Add("disk full", streams, moment);
            ChaosStatus meanwhile = await cell.WaitAsync(status => status.Phase == "Ready" && !status.Stages.Contains(full) && !status.Stages.Contains(dead), "serving without the node whose disk is full", cancellation: cancellation);
            bool said = cell.Logs.Contains("bytes free", StringComparison.Ordinal) || cell.Logs.Contains("disk is full", StringComparison.Ordinal);
            int ended = cell.IsRunning(full) ? 0 : 1;
            return ($"{Scenario.Describe(streams, wrong, moment)}; served on {string.Join(", ", meanwhile.Stages)}, {full} {(said ? "said that its disk is full" : "said nothing of its disk")}{(ended > 0 ? " and ended" : "")}", wrong + streams.Sum(stream => stream.Cuts) + ended + (said ? 0 : 1));
        }
        finally
        {
            await cell[full].KillAsync();
            ChaosNetwork.Run("umount", cache);
            foreach (string name in new[] { full, dead }.Where(name => !cell.IsRunning(name)))
            {
                cell.Start(name);
            }

            await Scenario.WholeAsync(run, cancellation);
        }
    }

    /// <summary>Every process gets a fifth more memory than it, or of the nodes any, took under the usual load; then comes more than the cell can take.</summary>
    public static async Task<(string, int)> MemoryAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosCell cell = run.Cell;
        await Scenario.WholeAsync(run, cancellation);
        string[] names = [.. cell.CoordinatorNames, .. cell.NodeNames];
        var groups = names.ToDictionary(name => name, _ => MemoryGroup.Create(long.MaxValue / 2));
        try
        {
            await RestartAsync();
            int wrong = await run.CountWrongAsync(run.StartStreams(cancellation: cancellation));
            await Task.WhenAll(names.Select(name => cell[name].KillAsync()));

            // Which nodes hold a stage and which is spare may be others after the next start.
            long mostOfNodes = cell.NodeNames.Max(name => groups[name].MostBytes);
            foreach (string name in names)
            {
                long limit = (cell.NodeNames.Contains(name) ? mostOfNodes : groups[name].MostBytes) / 5 * 6;
                groups[name].Dispose();
                groups[name] = MemoryGroup.Create(limit);
            }

            await RestartAsync();
            int[] processes = [.. cell.Running.Select(process => process.Id).Order()];
            (string seen, int refusedBadly) = await LoadScenario.OverloadAsync(run, cancellation);
            int ended = processes.Except(cell.Running.Select(process => process.Id)).Count();
            string took = string.Join(", ", names.Select(name => $"{name} {groups[name].MostBytes >> 20} of {groups[name].Limit >> 20}"));
            return ($"{seen}; MiB that processes took of what they may: {took}; {ended} ended", wrong + refusedBadly + ended);
        }
        finally
        {
            await Task.WhenAll(names.Select(name => cell[name].KillAsync()));
            foreach (string name in names)
            {
                groups[name].Dispose();
                cell.Start(name);
            }

            await Scenario.WholeAsync(run, cancellation);
        }

        async Task RestartAsync()
        {
            await Task.WhenAll(names.Select(name => cell[name].KillAsync()));
            foreach (string name in names)
            {
                cell.Start(name, groups[name].Within);
            }

            await Scenario.WholeAsync(run, cancellation);
        }
    }

    /// <summary>Another tenant's cell on the same machine, with coordinators and nodes of its own, while the nodes of this one are killed and stopped.</summary>
    public static async Task<(string, int)> TwoTenantsAsync(ChaosRun run, int seconds, CancellationToken cancellation)
    {
        string[] faults = ["kill-head", "kill-tail", "kill-early", "stop-1s", "kill-coordinator"];
        using ChaosCell quiet = await ChaosCell.StartAsync(run.Cell.Options with { Network = false, Coordinators = 1, Nodes = 2, Stages = 2, Pipelines = 1 }, cancellation);
        ChaosRun calm = await ChaosRun.StartAsync(quiet, streams: 4, tokens: 100, run.Random.Next(), run.Say, cancellation);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task<(int Streams, int Wrong)> others = StreamOnAsync(calm, ending.Token, cancellation);
        (int wrong, int done, long begun) = (0, 0, Stopwatch.GetTimestamp());
        while (Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(seconds))
        {
            string name = faults[run.Random.Next(faults.Length)];
            Scenario fault = Scenario.All.Single(scenario => scenario.Name == name);
            ScenarioResult result = await fault.RunAsync(run, cancellation);
            run.Say($"{result.Name}: {result.Seen}");
            wrong += result.Wrong;
            done++;
        }

        await ending.CancelAsync();
        (int streams, int wrongThere) = await others;
        return ($"{done} faults at one tenant, {wrong} promises broken there; {streams} streams of the other meanwhile, {wrongThere} wrong or cut", wrong + wrongThere + (streams > 0 ? 0 : 1));
    }

    private static async Task<(int Streams, int Wrong)> StreamOnAsync(ChaosRun run, CancellationToken ending, CancellationToken cancellation)
    {
        (int count, int wrong) = (0, 0);
        while (!ending.IsCancellationRequested)
        {
            ChaosStream[] streams = run.StartStreams(cancellation: cancellation);
            wrong += await run.CountWrongAsync(streams) + streams.Sum(stream => stream.Cuts);
            count += streams.Length;
        }

        return (count, wrong);
    }

    /// <summary>The bytes that were read before the caller went away.</summary>
    private static async Task<int> DripAsync(ChaosRun run, int number, CancellationToken leaving)
    {
        int read = 0;
        try
        {
            JsonObject body = run.Short(number);
            (body["stream"], body["max_tokens"], body["logit_bias"]) = (true, 400, new JsonObject { ["2"] = -100 });
            byte[] content = Encoding.UTF8.GetBytes(body.ToJsonString());
            using Socket socket = await run.Cell.ConnectAsync(run.Cell.CoordinatorNames.ElementAt(number % run.Cell.Options.Coordinators), 2048, leaving);
            await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {content.Length}\r\n\r\n"), leaving);
            await socket.SendAsync(content, leaving);
            byte[] one = new byte[1];
            while (await socket.ReceiveAsync(one.AsMemory(), leaving) == 1)
            {
                read++;
                await Task.Delay(TimeSpan.FromSeconds(1), leaving);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // It has gone, or was sent away.
        }

        return read;
    }

    /// <summary>Descriptors that a process may have open from now on; gives how many it might before.</summary>
    private static ulong Limit(int process, long descriptors)
    {
        ulong[] old = new ulong[2];
        if (prlimit(process, OpenFiles, null, old) != 0 || prlimit(process, OpenFiles, [(ulong)descriptors, old[1]], null) != 0)
        {
            throw new CommandException($"the limit of descriptors of process {process} could not be set");
        }

        return old[0];
    }

    /// <summary>Each limit is two numbers: what holds, and how far it may be raised.</summary>
    [DllImport("libc", SetLastError = true)]
    private static extern int prlimit(int process, int resource, ulong[]? wanted, [In, Out] ulong[]? old);
}
