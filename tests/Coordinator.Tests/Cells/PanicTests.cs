using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>Two coordinators of one database, each with a node of its own: what is suspended at the first ends at both while streams run, and what is lifted at the second goes on at both.</summary>
/// <remarks>Alone, because nodes in this process that cannot beat for seconds are taken for lost and do not come back.</remarks>
[Collection(nameof(AloneInTheProcess))]
public sealed class PanicTests : IAsyncLifetime
{
    private const string Model = "long";
    private const int Tokens = 2000;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-panic-").FullName;
    private TestCell[] _cells = [];
    private NewKey _operator = null!;
    private NewKey _key = null!;

    public async ValueTask InitializeAsync()
    {
        string path = Path.Combine(_folder, "long.gguf");
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0));
        var model = new ModelOptions { Name = Model, Path = path, Nodes = 1, ContextLength = 2048 };
        CoordinatorOptions With(CoordinatorOptions options) => options with { RequireKeys = true, Admin = new AdminOptions { Listen = "127.0.0.1:0" } };
        TestCell first = await TestCell.StartAsync(model, ["node-1"], With, "first");
        _cells = [first];
        string store = Path.Combine(first.Coordinator.Folder, "store");
        TestCell second = await TestCell.StartAsync(
            model,
            ["node-1"],
            options =>
            {
                // One database file and one secret for both.
                Directory.CreateDirectory(options.StorePath);
                File.CreateSymbolicLink(Path.Combine(options.StorePath, "state.db"), Path.Combine(store, "state.db"));
                return With(options) with { SecretPath = Path.Combine(store, "state.key") };
            },
            "second");
        _cells = [first, second];
        KeyStore keys = first.Coordinator.Host.Access!.Keys;
        _operator = await keys.CreateAsync(null, "operator", KeyScopes.Admin, null, CancellationToken.None);
        _key = await keys.CreateAsync(TestCoordinator.Tenant, "caller", KeyScopes.Inference, null, CancellationToken.None);
        await Task.WhenAll(_cells.Select(cell => cell.ReadyAsync(Model)));
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_cells.Select(cell => cell.DisposeAsync().AsTask()));
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    [Trait("Attack", "R5")]
    public async Task Suspended_WhileStreamsRunOnTwoCoordinators_EndsAtBothUntilLiftedAtEither()
    {
        string digest = _cells[0].Cell.FindModel(Model)!.Stored.Digest.ToString();
        string tenant = TestCoordinator.Tenant.Value;
        foreach ((string kind, string name) in new[] { ("tenant", tenant), ("key", _key.Key.Id), ("model", digest["sha256-".Length..].ToUpperInvariant()), ("node", "node-1") })
        {
            TimeSpan best = TimeSpan.MaxValue;
            for (int round = 0; round < AttackScale.Cases(1, 3); round++)
            {
                TimeSpan took = await SuspendAndLiftAsync(kind, name, kind == "node" ? tenant : "");
                best = took < best ? took : best;
            }

            TestContext.Current.TestOutputHelper!.WriteLine($"{kind}: {best.TotalMilliseconds:0} ms from the request to the last end at two coordinators, best of {AttackScale.Cases(1, 3)}");
            Assert.True(best < (AttackScale.IsFull ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(20)), $"{kind} took {best}");
        }
    }

    private async Task<TimeSpan> SuspendAndLiftAsync(string kind, string name, string tenant)
    {
        await Task.WhenAll(_cells.Select(IsIdleAsync));
        HeldStream[] streams = await Task.WhenAll(_cells.Select(cell => HeldStream.OpenAsync(cell, _key.Text)));
        foreach (TestCell cell in _cells)
        {
            JsonNode preview = await AdminAsync(cell, HttpMethod.Get, $"/admin/suspensions/preview?kind={kind}&name={name}&tenant={tenant}", null);
            Assert.Equal((true, 1), ((bool)preview["known"]!, (int)preview["affected"]!["answers"]!));
            Assert.Equal(Model, (string)preview["affected"]!["models"]!.AsArray().Single()!);
        }

        using Link? old = kind == "node" ? await AskForBlobsAsync(_cells[0]) : null;
        var closed = new ClosedReason();
        old?.Start(closed);
        Task<bool>[] ends = [.. streams.Select(stream => stream.ReadsToItsEndAsync())];
        long began = Stopwatch.GetTimestamp();
        JsonObject body = new() { ["kind"] = kind, ["name"] = name, ["tenant"] = tenant, ["reason"] = "test" };
        Assert.Equal(1, (int)(await AdminAsync(_cells[0], HttpMethod.Post, "/admin/suspensions", body))["affected"]!["answers"]!);
        TimeSpan took;
        if (kind == "node")
        {
            // Nothing is planned on it any more; without another node the answers wait.
            await Task.WhenAll(_cells.Select(cell => cell.UntilAsync(view => view.Phase != DeploymentPhase.Ready)));
            took = Stopwatch.GetElapsedTime(began);
            Assert.All(ends, end => Assert.False(end.IsCompleted));
            Assert.All(_cells, cell => Assert.DoesNotContain(cell.Cell.Nodes, node => node.Name.Value == "node-1"));
            foreach (TestCell cell in _cells)
            {
                LinkClosedException refused = await Assert.ThrowsAsync<LinkClosedException>(() => AskForBlobsAsync(cell));
                Assert.Contains("node node-1 is suspended", refused.Message, StringComparison.Ordinal);
            }

            string digest = _cells[0].Cell.FindModel(Model)!.Stored.Digest.ToString();
            old!.Send(FrameKind.BlobRequest, 0, 1, Wire.Encode(new BlobProtocol.BlobRequest(digest, 0, 1)));
            Assert.Contains("node node-1 is suspended", await closed.Reason.Task.WaitAsync(s_limit), StringComparison.Ordinal);
        }
        else
        {
            bool[] whole = await Task.WhenAll(ends).WaitAsync(s_limit);
            took = Stopwatch.GetElapsedTime(began);
            Assert.Equal([false, false], whole);
            foreach (TestCell cell in _cells)
            {
                Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(cell));
            }
        }

        await AdminAsync(_cells[1], HttpMethod.Delete, $"/admin/suspensions/{kind}/{name}?tenant={tenant}", null);
        foreach (TestCell cell in _cells)
        {
            await EventuallyServesAsync(cell);
            (await AskForBlobsAsync(cell)).Close("test");
        }

        foreach (HeldStream stream in streams)
        {
            stream.Dispose();
        }

        await Task.WhenAll(ends).WaitAsync(s_limit);
        return took;
    }

    private async Task<JsonNode> AdminAsync(TestCell cell, HttpMethod method, string path, JsonObject? body)
    {
        using HttpRequestMessage request = new(method, new Uri(cell.Coordinator.Host.AdminAddress!, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _operator.Text);
        request.Content = body is null ? null : new StringContent(body.ToJsonString(), System.Text.Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await cell.Http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>As node-1, with its certificate.</summary>
    private static async Task<Link> AskForBlobsAsync(TestCell cell)
    {
        CertificateFiles files = cell.Coordinator.Pki.Files(PeerRole.Node, "node-1");
        using CertificateProvider certificates = CertificateProvider.FromFiles(files);
        var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Blobs, TestCoordinator.Tenant, "node-1", default);
        return await LinkDialler.DialAsync(cell.Cell.LinkEndpoint, null, hello, new LinkOptions { BindAddress = "127.0.0.1" }, certificates, CancellationToken.None);
    }

    private async Task<HttpStatusCode> AskAsync(TestCell cell)
    {
        using HttpRequestMessage request = Request(_key.Text, 2, stream: false);
        using HttpResponseMessage response = await cell.Http.SendAsync(request);
        return response.StatusCode;
    }

    /// <summary>The coordinator that was not asked to lift it hears of it a moment later.</summary>
    private async Task EventuallyServesAsync(TestCell cell)
    {
        long began = Stopwatch.GetTimestamp();
        for (; ; await Task.Delay(10))
        {
            using HttpRequestMessage request = Request(_key.Text, 2, stream: false);
            using HttpResponseMessage response = await cell.Http.SendAsync(request);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                return;
            }

            string seen = $"{response.StatusCode} {await response.Content.ReadAsStringAsync()}, {cell.Coordinator.Host.Quotas.Running.Suspensions.All.Length} suspensions known, read {cell.Coordinator.Host.Quotas.Age} ago, nodes {string.Join(' ', cell.Cell.Nodes.Select(node => node.Name.Value))}";
            Assert.True(response.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.ServiceUnavailable, seen);
            Assert.True(Stopwatch.GetElapsedTime(began) < s_limit, $"coordinator {Array.IndexOf(_cells, cell)}: {seen}");
        }
    }

    /// <summary>What an earlier round left is over.</summary>
    private static async Task IsIdleAsync(TestCell cell)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        while (cell.Coordinator.Host.Quotas.Running.All.Any() || (cell.Cell.LoadOf(Model, out int active) is var load && load.Running + load.Waiting + active > 0))
        {
            await Task.Delay(10, deadline.Token);
        }
    }

    private static HttpRequestMessage Request(string key, int tokens, bool stream)
    {
        string body = $$"""{"model":"{{Model}}","prompt":[1,2,3],"max_tokens":{{tokens}},"min_tokens":{{tokens}},"temperature":1,"seed":4,"logprobs":20,"stream":{{(stream ? "true" : "false")}}}""";
        HttpRequestMessage request = new(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return request;
    }

    private sealed class ClosedReason : ILinkHandler
    {
        public TaskCompletionSource<string> Reason { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload) => Reason.TrySetResult($"answered with {kind}");

        public void OnClosed(Link link, string reason) => Reason.TrySetResult(reason);
    }

    /// <summary>
    /// A stream that is read slowly: its events are megabytes, and what waits for a reader is bounded, so it cannot be over before it is suspended. From then on it is read at full speed
    /// for as many lines as may have been waiting, then slowly again, however long the coordinator may take between hearing and ending.
    /// </summary>
    private sealed class HeldStream(TestCell cell, HttpRequestMessage request, HttpResponseMessage response, StreamReader reader) : IDisposable
    {
        private const int MaxWaitingLines = 1500;

        public static async Task<HeldStream> OpenAsync(TestCell cell, string key)
        {
            HttpRequestMessage request = Request(key, Tokens, stream: true);
            HttpResponseMessage response = await cell.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            Assert.NotNull(await reader.ReadLineAsync());
            return new HeldStream(cell, request, response, reader);
        }

        /// <summary>False when the answer was ended before its last event.</summary>
        public async Task<bool> ReadsToItsEndAsync()
        {
            bool done = false;
            int atOnce = 0;
            try
            {
                while (await reader.ReadLineAsync() is { } line)
                {
                    done |= line.Contains("[DONE]", StringComparison.Ordinal);
                    bool hasHeard = cell.Coordinator.Host.Quotas.Running.Suspensions.All.Length > 0;
                    if (!hasHeard || ++atOnce > MaxWaitingLines)
                    {
                        await Task.Delay(10);
                    }
                }
            }
            catch (Exception e) when (e is IOException or HttpRequestException or OperationCanceledException or ObjectDisposedException)
            {
                // The connection was cut, or the test has seen enough.
            }

            return done;
        }

        public void Dispose()
        {
            reader.Dispose();
            response.Dispose();
            request.Dispose();
        }
    }
}
