using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Lamina.Deploy.Tests.Kubelet;
using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>One installation of two tenants that is called, tested, attacked from within, upgraded and robbed of its pods while streams run.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class UpgradeTests(HighlyAvailable installation, ITestOutputHelper output) : IClassFixture<HighlyAvailable>
{
    /// <summary>Below the chart's coordinator.lingerSeconds, 5: until then a coordinator that ends answers whoever comes.</summary>
    private static readonly TimeSpan s_longestNotice = TimeSpan.FromSeconds(4);

    private PlayedCluster Cluster => installation.Cluster;

    [Fact]
    public async Task Service_CalledWithAKey_AnswersItsTenantAlone()
    {
        Require();
        using HttpClient acme = installation.Caller("acme"), rival = installation.Caller("rival"), thief = installation.Caller("rival", keyOf: "acme");
        string answer = await Chat.AskAsync(acme, "Hello");
        Assert.NotEmpty(answer);
        Assert.Equal(answer, await Chat.AskAsync(rival, "Hello"));
        HttpRequestException refused = await Assert.ThrowsAsync<HttpRequestException>(() => Chat.AskAsync(thief, "Hello"));
        Assert.StartsWith("40", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HelmTest_OfTwoTenants_FindsThemServingAndApart() =>
        Assert.All(await RequireTestsAsync(), container => Assert.True(container.ExitCode == 0, $"{container.Name}: {container.Said}"));

    [Trait("Attack", "I1")]
    [Trait("Attack", "I3")]
    [Fact]
    public async Task Pod_OfOneTenant_ReachesNothingOfTheOther()
    {
        Require();
        string[] pods = ["lamina-rival-coordinator-0", "lamina-rival-cpu-0"];
        string[] targets = [.. pods.SelectMany(pod => new[] { "--target", $"rival/control={HostOf(pod)}:7070", "--target", $"rival/link={HostOf(pod)}:7071" })];
        const string From = "lamina-acme-cpu-0";
        (int code, string text, string error) = await Cluster.Pod(From).Containers[0].ExecAsync(["/app/lamina", "verify-isolation", "--allow-unreachable", "--json", "--identity", $"/etc/lamina/pki/{From}", .. targets]);
        Assert.True(code == 0, error + text);
        JsonNode[] tries = [.. JsonNode.Parse(text)!["crossings"]!.AsArray().Select(crossing => crossing!).Where(crossing => crossing["into"]!.GetValue<string>() == "rival")];
        Assert.NotEmpty(tries);
        Assert.All(tries, crossing => Assert.StartsWith("not reachable", crossing["detail"]!.GetValue<string>(), StringComparison.Ordinal));

        // Nor the ports that nobody tries who means well.
        await Task.WhenAll(pods.SelectMany(pod => new[] { 8080, 8081, 9090 }.Select(port => NamespaceSocket.RequireDroppedAsync(Cluster.Pod(From).Space, Cluster.Pod(pod).Address, port))));

        await NamespaceSocket.RequireDroppedAsync(Cluster.Machines.Namespace("stranger"), Cluster.AddressOfService("lamina-acme-api"), 443);
        Assert.Equal(0, Cluster.Machines.Packets("crossed"));
        Assert.True(Cluster.Machines.Packets("dropped") > 0);
        output.WriteLine($"{Cluster.Machines.Packets("dropped")} packets dropped, none crossed");
    }

    [Fact]
    public async Task Upgrade_UnderStreamingChats_FailsAndCutsNone()
    {
        Require();
        Pod[] before = [.. Cluster.Pods];
        await UnderLoadAsync("upgrade", installation.UpgradeAsync);
        Assert.Empty(Cluster.Pods.Intersect(before));
    }

    [Fact]
    public async Task DeletedPods_UnderStreamingChats_FailAndCutNone()
    {
        Require();
        await UnderLoadAsync("coordinator deleted", () => Cluster.Set("lamina-acme-coordinator").DeletePodAsync(0, CancellationToken.None));
        await UnderLoadAsync("node deleted", () => Cluster.Set("lamina-acme-cpu").DeletePodAsync(0, CancellationToken.None));
    }

    /// <summary>Streams come and go through the Service while something is done, and for a while before and after; each must be whole and say what it says in peace.</summary>
    private async Task UnderLoadAsync(string what, Func<Task> act)
    {
        const int Workers = 6, Tokens = 400;
        using HttpClient quiet = installation.Caller("acme");
        string[] expected = await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Chat.AskAsync(quiet, $"Tell me of {worker}", Tokens, worker)));
        int before = Cluster.Retired.Count;
        using var ending = new CancellationTokenSource();
        (int whole, var wrong) = (0, new List<string>());
        TimeSpan longest = TimeSpan.Zero;
        using var flowing = new SemaphoreSlim(0);
        Task load = Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
        {
            // Some dial for each chat, some keep their connections; some read slowly, so that their streams are older than what happens meanwhile.
            TimeSpan pace = TimeSpan.FromMilliseconds(worker < 2 ? 20 : 0);
            using HttpClient http = installation.Caller("acme", keepAlive: worker % 2 == 0, slow: worker < 2);
            while (!ending.IsCancellationRequested)
            {
                long begun = Stopwatch.GetTimestamp();
                string? problem = null;
                try
                {
                    string answer = await Chat.AskAsync(http, $"Tell me of {worker}", Tokens, worker, pace);
                    problem = answer == expected[worker] ? null : $"answered otherwise: '{answer}' for '{expected[worker]}'";
                }
                catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException or SocketException)
                {
                    problem = $"{e.Message} {e.InnerException?.Message}";
                }

                lock (wrong)
                {
                    whole += problem is null ? 1 : 0;
                    longest = TimeSpan.FromTicks(Math.Max(longest.Ticks, Stopwatch.GetElapsedTime(begun).Ticks));
                    if (problem is not null)
                    {
                        wrong.Add($"{DateTime.UtcNow:HH:mm:ss.fff} worker {worker}: {problem}");
                    }
                }

                flowing.Release();
            }
        }));
        for (int i = 0; i < 2 * Workers; i++)
        {
            await flowing.WaitAsync();
        }

        (int late, var refused) = (0, new List<(Pod Pod, string Problem)>());
        Cluster.LateCaller = async pod =>
        {
            if (pod.Peer.Labels["app.kubernetes.io/component"] != "coordinator")
            {
                return;
            }

            _ = Interlocked.Increment(ref late);
            if (await ComeLateAsync(pod) is { } problem)
            {
                lock (wrong)
                {
                    refused.Add((pod, problem));
                }
            }
        };
        long begun = Stopwatch.GetTimestamp();
        await act();
        Cluster.LateCaller = null;
        string took = $"{Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s";
        int then;
        lock (wrong)
        {
            then = whole;
        }

        await Cluster.WaitAsync(() => whole + wrong.Count > then + (2 * Workers), () => "streams go on");
        await ending.CancelAsync();
        await load;
        output.WriteLine($"{what}: {took}, {whole} streams whole, {wrong.Count} failed or cut, the longest took {longest.TotalSeconds:0.0} s");
        Pod[] ended = [.. Cluster.Retired.Skip(before)];

        // What ended in order turned these callers away itself: no machine is too busy for that.
        Assert.All(refused.Where(call => call.Pod.Containers[0].ExitCode == 0), call => Assert.Fail($"{call.Pod.Name} turned somebody away who did not know yet that it ends: {call.Problem}\n{call.Pod.Said}"));
        Assert.True(late > 0 || !ended.Any(pod => pod.IsLeaving && pod.Peer.Labels["app.kubernetes.io/component"] == "coordinator"), "nobody came late to a coordinator");
        SkipIfStarved(wrong, ended);
        Assert.True(wrong.Count == 0, string.Join('\n', wrong) + "\n" + string.Join("\n", ended.Concat(Cluster.Pods).Where(pod => pod.Name.Contains("acme", StringComparison.Ordinal)).Select(pod => $"-- {pod.Name}\n{pod.Said}")));
        Assert.All(ended, pod => Assert.False(pod.WasKilled, $"{pod.Name} did not end in time:\n{pod.Said}"));
        Assert.All(ended, pod => Assert.True(pod.Containers[0].ExitCode == 0, $"{pod.Name} ended with {pod.Containers[0].ExitCode}:\n{pod.Said}"));
    }

    /// <summary>One chat with a coordinator that was asked to end a while ago; what it said where it turned the caller away, although the longest while that callers may have is not over.</summary>
    private async Task<string?> ComeLateAsync(Pod pod)
    {
        using HttpClient http = installation.CallerOf(pod);
        string? problem = null;
        try
        {
            _ = await Chat.AskAsync(http, "Hello", 1);
        }
        catch (Exception e) when (e is HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } } || e.Message.Contains("this coordinator is about to end", StringComparison.Ordinal))
        {
            problem = e.Message;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException or SocketException)
        {
            output.WriteLine($"{pod.Name}, called late: {e.Message}"); // its cell's trouble or the machine's, which the streams show
        }

        TimeSpan since = Stopwatch.GetElapsedTime(pod.AskedToEnd);
        output.WriteLine($"{pod.Name} {(problem is null ? "was called" : "turned a caller away")}, {since.TotalSeconds:0.0} s after it was asked to end");
        return since < s_longestNotice ? problem : null;
    }

    /// <summary>
    /// On a machine that leaves processes without a turn for longer than the cell's failure detectors wait, members are lost that nobody took away, and with them more than an upgrade
    /// may cost. The pods say so themselves.
    /// </summary>
    private void SkipIfStarved(List<string> wrong, IEnumerable<Pod> ended)
    {
        int starved = ended.Concat(Cluster.Pods).Sum(pod => pod.Said.Split('\n').Count(line => line.Contains("heartbeat interval is growing too large", StringComparison.Ordinal)));
        Assert.SkipWhen(wrong.Count > 0 && starved > 0, $"the machine was too busy to judge: heartbeats came late {starved} times, and {wrong.Count} streams were lost: {string.Join("; ", wrong)}");
    }

    private static string HostOf(string pod) => $"{pod}.{pod[..pod.LastIndexOf('-')]}.lamina.svc.cluster.local";

    private async Task<IReadOnlyList<PodContainer>> RequireTestsAsync()
    {
        Require();
        return await Cluster.TestAsync();
    }

    private static void Require() => Assert.SkipWhen(HighlyAvailable.Problem() is not null, HighlyAvailable.Problem() ?? "");
}
