using System.Text.Json;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>Answers held to a form by the tail of a real pipeline, with the coordinator's own refusals beside them.</summary>
public class ConstrainedAnswerTests(ThreeNodeCell shared) : IClassFixture<ThreeNodeCell>
{
    private const string Question = """[{"role":"user","content":"What is 27 + 15?"}]""";

    private readonly TestCell _cell = shared.Cell;

    [Fact]
    public async Task Chat_Schema_AnswersValidateAtTemperatureOne()
    {
        for (int seed = 0; seed < 4; seed++)
        {
            string text = await AnswerAsync($$$"""
                "temperature":1,"seed":{{{seed}}},"response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,
                "schema":{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99},"ok":{"type":"boolean"}},"required":["n","ok"],"additionalProperties":false} } }
                """);

            using JsonDocument json = JsonDocument.Parse(text);
            Assert.InRange(json.RootElement.GetProperty("n").GetInt32(), 0, 99);
            Assert.Contains(json.RootElement.GetProperty("ok").ValueKind, new[] { JsonValueKind.True, JsonValueKind.False });
        }
    }

    [Theory]
    [InlineData("\"regex\":\"[a-c]{5}\"", "^[a-c]{5}$")]
    [InlineData("\"choices\":[\"maybe\",\"perhaps\"]", "^(maybe|perhaps)$")]
    [InlineData("\"grammar\":\"root ::= \\\"x\\\" [0-9] [0-9]\"", "^x[0-9]{2}$")]
    public async Task Chat_Grammar_HoldsTheAnswer(string field, string expected) => Assert.Matches(expected, await AnswerAsync(field));

    [Fact]
    public async Task Chat_MinTokens_AnswerGoesOn()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat("\"temperature\":0,\"min_tokens\":40,\"max_tokens\":60"));

        Assert.InRange(answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), 40, 60);
    }

    [Fact]
    public async Task Chat_DryWithBreakers_IsAnswered() => Assert.NotEmpty(await AnswerAsync("\"dry_multiplier\":0.8,\"seed\":1"));

    private async Task<string> AnswerAsync(string fields)
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat(fields));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    private static string Chat(string fields) => $$"""{"model":"tiny","messages":{{Question}},{{fields}}}""";
}
