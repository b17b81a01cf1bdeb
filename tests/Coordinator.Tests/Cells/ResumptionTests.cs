using System.Net;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>Answers that outlive their connections, over HTTP and three nodes.</summary>
public class ResumptionTests(ThreeNodeCell shared) : IClassFixture<ThreeNodeCell>
{
    private static readonly string s_story = CellTests.Chat("Tell me a story about a red fox in the forest.", "\"stream\":true");

    private readonly HttpClient _http = shared.Cell.Http;

    [Fact]
    public async Task Stream_LeftAtAnyEvent_GoesOnWithoutLossOrRepeat()
    {
        (string id, List<SseItem<string>> whole) = await ReadAsync(Post(s_story, "whole"), int.MaxValue);
        Assert.Equal("[DONE]", whole[^1].Data);
        Assert.Equal(Enumerable.Range(1, whole.Count - 1).Select(i => $"{i}"), whole[..^1].Select(item => item.EventId));
        for (int left = 1; left < whole.Count; left += 7)
        {
            (_, List<SseItem<string>> rest) = await ReadAsync(Get($"/v1/generations/{id}/events?after={left}"), int.MaxValue);
            Assert.Equal(whole[left..].Select(item => item.Data), rest.Select(item => item.Data));
        }
    }

    [Fact]
    public async Task Stream_ConnectionLostWhileItRuns_RunsOnForLastEventId()
    {
        string undisturbed = Text((await ReadAsync(Post(s_story, null), int.MaxValue)).Items);
        (string id, List<SseItem<string>> begin) = await ReadAsync(Post(s_story, "lost"), 5);
        HttpRequestMessage request = Get($"/v1/generations/{id}/events");
        request.Headers.Add("Last-Event-ID", begin[^1].EventId);
        (string sameId, List<SseItem<string>> rest) = await ReadAsync(request, int.MaxValue);
        Assert.Equal(id, sameId);
        Assert.Equal(undisturbed, Text([.. begin, .. rest]));
    }

    [Fact]
    public async Task Post_SameKey_JoinsInsteadOfStartingASecond()
    {
        string body = CellTests.Chat("What is 2 + 3?");
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 3).Select(async _ =>
        {
            using HttpResponseMessage response = await _http.SendAsync(Post(body, "joined"));
            return await response.Content.ReadAsStringAsync();
        }));
        Assert.Equal("2 + 3 = 5.", JsonDocument.Parse(answers[0]).RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.All(answers, answer => Assert.Equal(answers[0], answer));

        using HttpResponseMessage other = await _http.SendAsync(Post(CellTests.Chat("What is 2 + 4?"), "joined"));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, other.StatusCode);
    }

    [Fact]
    public async Task Delete_RunningGeneration_EndsAndForgetsIt()
    {
        (string id, _) = await ReadAsync(Post(s_story, "deleted"), 2);
        using HttpResponseMessage deleted = await _http.DeleteAsync($"/v1/generations/{id}");
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        using HttpResponseMessage gone = await _http.SendAsync(Get($"/v1/generations/{id}/events"));
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Contains("generation_not_found", await gone.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("after=-1")]
    [InlineData("after=x")]
    [InlineData("after=9223372036854775807")]
    public async Task Events_NoNumber_Is400(string query)
    {
        (string id, _) = await ReadAsync(Post(s_story, "numbered"), int.MaxValue);
        using HttpResponseMessage response = await _http.SendAsync(Get($"/v1/generations/{id}/events?{query}"));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Post_KeyTooLong_Is400()
    {
        using HttpResponseMessage response = await _http.SendAsync(Post(s_story, new string('k', 256)));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    private static HttpRequestMessage Post(string body, string? key)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return request;
    }

    private static HttpRequestMessage Get(string path) => new(HttpMethod.Get, path);

    private async Task<(string Id, List<SseItem<string>> Items)> ReadAsync(HttpRequestMessage request, int count)
    {
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode, response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync());
        var items = new List<SseItem<string>>();
        await foreach (SseItem<string> item in SseParser.Create(await response.Content.ReadAsStreamAsync()).EnumerateAsync())
        {
            items.Add(item);
            if (items.Count == count)
            {
                break;
            }
        }

        return (response.Headers.GetValues("X-Lamina-Generation").Single(), items);
    }

    private static string Text(IEnumerable<SseItem<string>> items) =>
        CellTests.Text(items.Where(item => item.Data != "[DONE]").Select(item => JsonDocument.Parse(item.Data).RootElement));
}
