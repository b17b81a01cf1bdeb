using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>The built-in model over three nodes.</summary>
public sealed class ThreeNodeCell : IAsyncLifetime
{
    internal TestCell Cell { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Cell = await TestCell.StartAsync(CellTests.Tiny(nodes: 3), "node-1", "node-2", "node-3");
        await Cell.ReadyAsync("tiny");
    }

    public ValueTask DisposeAsync() => Cell.DisposeAsync();
}

public class CellTests(ThreeNodeCell shared) : IClassFixture<ThreeNodeCell>
{
    private const string Sum = "What is 27 + 15?";

    private readonly TestCell _cell = shared.Cell;

    internal static ModelOptions Tiny(int nodes) => new() { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf"), Nodes = nodes };

    [Fact]
    public void Deployment_ThreeNodes_EachHoldsAThird()
    {
        DeploymentView view = _cell.Cell.Deployments[0];

        Assert.Equal([(0, 2), (2, 4), (4, 6)], view.Stages.Select(stage => (stage.FirstLayer, stage.EndLayer)));
        Assert.Equal(3, view.Stages.Select(stage => stage.Node).Distinct().Count());
    }

    [Fact]
    public async Task Chat_ASum_IsAnswered()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat(Sum));

        JsonElement choice = answer.GetProperty("choices")[0];
        Assert.Equal("27 + 15 = 42.", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        JsonElement usage = answer.GetProperty("usage");
        Assert.Equal(usage.GetProperty("total_tokens").GetInt32(), usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_Streamed_IsTheSameAnswerInPieces()
    {
        List<JsonElement> chunks = await StreamAsync("/v1/chat/completions", Chat(Sum, "\"stream\":true,\"stream_options\":{\"include_usage\":true}"));

        Assert.Equal("assistant", chunks[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
        Assert.Equal("27 + 15 = 42.", Text(chunks));
        Assert.Equal("stop", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.True(chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32() > 5);
    }

    [Fact]
    public async Task Chat_StopString_EndsBeforeIt()
    {
        JsonElement choice = (await _cell.PostAsync("/v1/chat/completions", Chat(Sum, "\"stop\":[\" = 4\"]"))).GetProperty("choices")[0];

        Assert.Equal("27 + 15", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Chat_MaxTokens_EndsWithLength()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat("Tell me a story about a red fox in the forest.", "\"max_tokens\":5"));

        Assert.Equal("length", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(5, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_LogProbs_AreOneEntryPerTokenWithBytes()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat(Sum, "\"logprobs\":true,\"top_logprobs\":3"));

        JsonElement[] content = [.. answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray()];
        Assert.Equal(answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), content.Length);
        byte[] bytes = [.. content.SelectMany(token => token.GetProperty("bytes").EnumerateArray().Select(b => b.GetByte()))];
        Assert.Equal("27 + 15 = 42.", Encoding.UTF8.GetString(bytes));
        Assert.All(content, token =>
        {
            Assert.Equal(3, token.GetProperty("top_logprobs").GetArrayLength());
            Assert.Equal(token.GetProperty("logprob").GetDouble(), token.GetProperty("top_logprobs")[0].GetProperty("logprob").GetDouble());
        });
    }

    [Fact]
    public async Task Chat_SeveralChoices_AreIndependentAndReproducible()
    {
        string body = Chat("Tell me a story about a red fox in the forest.", "\"n\":3,\"seed\":7,\"max_tokens\":24,\"temperature\":1.5").Replace("\"temperature\":0,", "", StringComparison.Ordinal);
        string[] first = Contents(await _cell.PostAsync("/v1/chat/completions", body));
        string[] second = Contents(await _cell.PostAsync("/v1/chat/completions", body));

        Assert.Equal(3, first.Distinct().Count());
        Assert.Equal(first, second);
    }

    [Fact]
    public async Task Completion_TextAndItsTokens_GiveTheSame()
    {
        int[] tokens = _cell.Cell.FindModel("tiny")!.Tokenizer.Encode("Once upon a time");
        JsonElement answer = await _cell.PostAsync("/v1/completions", $$"""{"model":"tiny","prompt":["Once upon a time",""" + "\"x\"" + $$"""],"temperature":0,"max_tokens":8,"logprobs":2}""");
        JsonElement same = await _cell.PostAsync("/v1/completions", $$"""{"model":"tiny","prompt":[{{string.Join(',', tokens)}}],"temperature":0,"max_tokens":8}""");

        Assert.Equal(same.GetProperty("choices")[0].GetProperty("text").GetString(), answer.GetProperty("choices")[0].GetProperty("text").GetString());
        Assert.Equal(2, answer.GetProperty("choices").GetArrayLength());
        Assert.Equal(8, answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("tokens").GetArrayLength());
    }

    [Fact]
    public async Task Prompt_LongerThanTheContext_Is400()
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/chat/completions", Chat(string.Concat(Enumerable.Repeat("word ", 200_000))));

        Assert.Equal(400, (int)response.StatusCode);
        Assert.Contains("context_length_exceeded", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chats_ThirtyTwoAtOnce_EqualThoseAskedAlone()
    {
        string[] questions = [.. Enumerable.Range(0, 32).Select(i => $"What is {i + 10} + {i % 7 + 3}?")];
        string[] together = await Task.WhenAll(questions.Select(async question => Text(await StreamAsync("/v1/chat/completions", Chat(question, "\"stream\":true")))));
        var alone = new List<string>();
        foreach (string question in questions.Take(6))
        {
            alone.Add(Text(await StreamAsync("/v1/chat/completions", Chat(question, "\"stream\":true"))));
        }

        Assert.Equal(alone, together.Take(6));
        Assert.Equal("10 + 3 = 13.", together[0]);
    }

    [Fact]
    public async Task Client_Gone_EndsTheGeneration()
    {
        using var gone = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"model":"tiny","prompt":"Once","max_tokens":500,"logit_bias":{"0":-100,"1":-100,"2":-100},"stream":true}""", Encoding.UTF8, "application/json"),
        };
        using (HttpResponseMessage response = await _cell.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        {
            response.EnsureSuccessStatusCode();
        }

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (_cell.Cell.LoadOf("tiny", out int active).Running > 0 || active > 0)
        {
            await Task.Delay(20, deadline.Token);
        }
    }

    internal static string Chat(string question, string more = "") =>
        $$"""{"model":"tiny","temperature":0,"messages":[{"role":"user","content":{{JsonSerializer.Serialize(question)}}}]{{(more.Length > 0 ? "," : "")}}{{more}}}""";

    private Task<List<JsonElement>> StreamAsync(string route, string body) => StreamAsync(_cell, route, body, null);

    /// <summary>Reads a stream to its [DONE].</summary>
    internal static async Task<List<JsonElement>> StreamAsync(TestCell cell, string route, string body, Func<int, Task>? afterChunk)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using HttpResponseMessage response = await cell.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode, response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var chunks = new List<JsonElement>();
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line == "data: [DONE]")
            {
                return chunks;
            }

            if (line.Length > 0 && !line.StartsWith("id: ", StringComparison.Ordinal))
            {
                Assert.StartsWith("data: ", line, StringComparison.Ordinal);
                using JsonDocument json = JsonDocument.Parse(line[6..]);
                Assert.False(json.RootElement.TryGetProperty("error", out _), line);
                chunks.Add(json.RootElement.Clone());
                await (afterChunk?.Invoke(chunks.Count) ?? Task.CompletedTask);
            }
        }

        Assert.Fail("the stream ended without [DONE]");
        return chunks;
    }

    internal static string Text(IEnumerable<JsonElement> chunks) => string.Concat(chunks
        .SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
        .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : ""));

    private static string[] Contents(JsonElement answer) =>
        [.. answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()!)];
}
