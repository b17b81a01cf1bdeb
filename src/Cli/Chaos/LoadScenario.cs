using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Chaos;

/// <summary>More than the cell can take, and callers that go away.</summary>
internal static class LoadScenario
{
    private const int Requests = 500;
    private const long MostGrowth = 512L << 20;

    private static readonly TimeSpan s_settling = TimeSpan.FromSeconds(30);

    /// <summary>Every request is answered, rightly or with a refusal that says when to come back; memory and cache blocks are given back.</summary>
    public static async Task<(string, int)> OverloadAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus idle = await IdleAsync(run, cancellation);
        long before = ResidentBytes(run);
        long begun = Stopwatch.GetTimestamp();
        HttpStatusCode[] codes = await Task.WhenAll(Enumerable.Range(0, Requests).Select(number => AskAsync(run, number, cancellation)));
        long after = ResidentBytes(run);
        ChaosStatus settled = await IdleAsync(run, cancellation);
        int answered = codes.Count(code => code == HttpStatusCode.OK);
        int refused = codes.Count(code => code is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable);
        int lostBlocks = idle.KvBlocks - settled.FreeKvBlocks;
        return (string.Create(CultureInfo.InvariantCulture,
                $"{answered} answered, {refused} refused with a time to come back, {Requests - answered - refused} otherwise, in {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s; memory of all processes {before >> 20} to {after >> 20} MiB; {settled.FreeKvBlocks} of {idle.KvBlocks} cache blocks free afterwards"),
            Requests - answered - refused + Math.Max(0, lostBlocks) + (after - before > MostGrowth ? 1 : 0));
    }

    /// <summary>Callers read a few events and are gone.</summary>
    public static async Task<(string, int)> VanishAsync(ChaosRun run, CancellationToken cancellation)
    {
        ChaosStatus idle = await IdleAsync(run, cancellation);
        ChaosStream[] others = await run.FlowingAsync(1, cancellation);
        int gone = 0;
        for (int round = 0; round < 5; round++)
        {
            using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            Task[] callers = [.. Enumerable.Range(0, 20).Select(number => ReadAWhileAsync(run, number, leaving.Token))];
            await Task.Delay(run.Random.Next(20, 400), cancellation);
            await leaving.CancelAsync();
            await Task.WhenAll(callers);
            gone += callers.Length;
        }

        int wrong = await run.CountWrongAsync(others);
        ChaosStatus settled = await IdleAsync(run, cancellation);
        int lostBlocks = idle.KvBlocks - settled.FreeKvBlocks;
        return ($"{gone} callers vanished, {others.Length - wrong} of {others.Length} other streams right; {settled.FreeKvBlocks} of {idle.KvBlocks} cache blocks free afterwards, {settled.Active} generations active", wrong + Math.Max(0, lostBlocks) + settled.Active);
    }

    /// <summary>Waits until nothing runs and the blocks are all free, and gives what is so after the patience at the latest.</summary>
    internal static async Task<ChaosStatus> IdleAsync(ChaosRun run, CancellationToken cancellation)
    {
        await Scenario.WholeAsync(run, cancellation);
        long until = Environment.TickCount64 + (long)s_settling.TotalMilliseconds;
        while (true)
        {
            ChaosStatus? status = await run.Cell.StatusAsync(cancellation: cancellation);
            if (status is not null && ((status.Active == 0 && status.FreeKvBlocks == status.KvBlocks && status.KvBlocks > 0) || Environment.TickCount64 > until))
            {
                return status;
            }

            await Task.Delay(100, cancellation);
        }
    }

    private static async Task<HttpStatusCode> AskAsync(ChaosRun run, int number, CancellationToken cancellation)
    {
        JsonObject body = run.Short(number);
        Uri address = run.Cell.Addresses[number % run.Cell.Addresses.Count];
        using HttpResponseMessage response = await run.Cell.Http.PostAsJsonAsync(new Uri(address, "v1/chat/completions"), body, cancellation);
        bool saysWhen = response.IsSuccessStatusCode || response.Headers.RetryAfter is not null;
        return saysWhen ? response.StatusCode : HttpStatusCode.Conflict;
    }

    private static async Task ReadAWhileAsync(ChaosRun run, int number, CancellationToken leaving)
    {
        try
        {
            JsonObject body = run.Short(number);
            (body["stream"], body["max_tokens"]) = (true, 400);
            using HttpRequestMessage request = new(HttpMethod.Post, new Uri(run.Cell.Addresses[number % run.Cell.Addresses.Count], "v1/chat/completions")) { Content = JsonContent.Create(body) };
            using HttpResponseMessage response = await run.Cell.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leaving);
            await (await response.Content.ReadAsStreamAsync(leaving)).CopyToAsync(Stream.Null, leaving);
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
            // That is what it is for.
        }
    }

    public static long ResidentBytes(ChaosRun run) => run.Cell.Running.Sum(ResidentBytes);

    public static long ResidentBytes(ChaosProcess process) => Figure(process, $"/proc/{process.Id}/statm", 1) * Environment.SystemPageSize;

    /// <summary>Open descriptors of all processes.</summary>
    public static int Descriptors(ChaosRun run) => run.Cell.Running.Sum(process => Directory.Exists($"/proc/{process.Id}/fd") ? Directory.GetFiles($"/proc/{process.Id}/fd").Length : 0);

    private static long Figure(ChaosProcess process, string path, int field) =>
        process.HasExited || !File.Exists(path) ? 0 : long.Parse(File.ReadAllText(path).Split(' ')[field], CultureInfo.InvariantCulture);
}
