using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>
/// The usage ledger against what clients received, across SIGKILL of the coordinator in the midst of two hundred requests. Clients count the tokens themselves, by the
/// log-probabilities that come with each.
/// </summary>
public sealed class UsageTests(ITestOutputHelper output)
{
    private const int Requests = 200;
    private const int MaxTokens = 24;

    [Fact]
    public async Task Kill_OfTheCoordinatorDuringTwoHundredRequests_LeavesALedgerThatEqualsWhatClientsReceived()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 1, plannedNodes: 1);
        MeteredClient[] clients = [.. Enumerable.Range(0, Requests).Select(i => new MeteredClient(cell.Http, i, comesBack: true))];
        await RunAndKillAsync(cell, clients);
        MeteredClient[] cutOff = [.. clients.Where(client => !client.IsDone)];
        int cut = cutOff.Length;

        // Each comes back with its key and the last event it has, and gets the rest.
        await Task.WhenAll(cutOff.Select(client => client.RunAsync()));
        Assert.All(clients, client => Assert.True(client.IsDone));
        Usage after = await UsageAsync(cell);
        output.WriteLine($"{cut} of {Requests} were cut off and came back; {clients.Sum(client => client.Tokens.Count)} tokens received, {after.Generated} in the ledger");
        Assert.True(cut > Requests / 10, $"only {cut} requests were cut off");
        Assert.Equal(new Usage(Requests, clients.Sum(client => client.PromptTokens), clients.Sum(client => client.Tokens.Count)), after);
        Assert.All(clients, client => Assert.Equal(client.CompletionTokens, client.Tokens.Count));

        // What they put together is what the server gives whole, and to have it again costs nothing.
        foreach (MeteredClient client in cutOff.Take(5))
        {
            var again = new MeteredClient(cell.Http, client.Number, comesBack: true);
            await again.RunAsync();
            Assert.Equal(client.Tokens, again.Tokens);
        }

        Assert.Equal(after, await UsageAsync(cell));
    }

    [Fact]
    public async Task Kill_WithClientsThatDoNotComeBack_LeavesNoTokenUncountedAndAtMostTheLastOnItsWay()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 1, plannedNodes: 1);
        MeteredClient[] clients = [.. Enumerable.Range(0, 60).Select(i => new MeteredClient(cell.Http, i, comesBack: false))];
        await RunAndKillAsync(cell, clients);
        Usage after = await UsageAsync(cell);
        int received = clients.Sum(client => client.Tokens.Count);
        int cut = clients.Count(client => !client.IsDone);
        output.WriteLine($"{cut} of {clients.Length} were cut off; {received} tokens received, {after.Generated} in the ledger");
        Assert.InRange(after.Generated, received, received + cut);
    }

    private static async Task RunAndKillAsync(ConfiguredCell cell, MeteredClient[] clients)
    {
        Task all = Task.WhenAll(clients.Select(client => client.RunAsync()));
        await Eventually.TrueAsync(() => clients.Sum(client => client.Tokens.Count) >= clients.Length * MaxTokens / 3, TimeSpan.FromSeconds(180), "the tokens did not come");
        await cell.RestartCoordinatorAsync();
        await all.WaitAsync(TimeSpan.FromSeconds(120));
    }

    private static async Task<Usage> UsageAsync(ConfiguredCell cell)
    {
        JsonNode json = JsonNode.Parse(await cell.Http.GetStringAsync("v1/usage"))!;
        return new Usage(json["requests"]!.GetValue<int>(), json["prompt_tokens"]!.GetValue<int>(), json["generated_tokens"]!.GetValue<int>());
    }

    private sealed record Usage(int Requests, int Prompt, int Generated);

    /// <summary>A client that counts what it gets, and goes on after the last event it has when it is started again.</summary>
    private sealed class MeteredClient(HttpClient http, int number, bool comesBack)
    {
        private string? _lastEvent;

        public int Number => number;

        public ConcurrentQueue<string> Tokens { get; } = [];

        public int PromptTokens { get; private set; }

        public int CompletionTokens { get; private set; }

        public bool IsDone { get; private set; }

        public async Task RunAsync()
        {
            JsonObject body = ChatApi.Chat(ChatApi.User($"What is {number} + {2 * number}?"), MaxTokens);
            body["stream"] = true;
            body["logprobs"] = true;
            body["temperature"] = 1.0;
            body["logit_bias"] = new JsonObject { ["2"] = -100 };
            body["stream_options"] = new JsonObject { ["include_usage"] = true };
            using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(body) };
            if (comesBack)
            {
                request.Headers.Add("Idempotency-Key", $"request-{number}");
                if (_lastEvent is not null)
                {
                    request.Headers.Add("Last-Event-ID", _lastEvent);
                }
            }

            try
            {
                using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                await foreach (SseItem<string> item in SseParser.Create(await response.Content.ReadAsStreamAsync()).EnumerateAsync())
                {
                    Take(item);
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // The coordinator is dead.
            }
        }

        private void Take(SseItem<string> item)
        {
            if (item.Data == "[DONE]")
            {
                IsDone = true;
                return;
            }

            JsonNode json = JsonNode.Parse(item.Data)!;
            foreach (JsonNode? token in json["choices"]!.AsArray().SelectMany(choice => choice!["logprobs"]?["content"]?.AsArray() ?? []))
            {
                Tokens.Enqueue(token!["token"]!.GetValue<string>());
            }

            PromptTokens = json["usage"]?["prompt_tokens"]?.GetValue<int>() ?? PromptTokens;
            CompletionTokens = json["usage"]?["completion_tokens"]?.GetValue<int>() ?? CompletionTokens;
            _lastEvent = item.EventId;
        }
    }
}
