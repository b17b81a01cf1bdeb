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
    public async Task Chat_LabelsOfTheCaller_ChangeNothing()
    {
        JsonElement plain = await _cell.PostAsync("/v1/chat/completions", Chat("\"temperature\":0"));
        JsonElement labelled = await _cell.PostAsync("/v1/chat/completions", Chat("""
            "temperature":0,"metadata":{"a":"b"},"modalities":["text"],"prompt_cache_key":"k","safety_identifier":"s","service_tier":"auto","store":false,"verbosity":"medium","prompt_cache_retention":"in_memory"
            """));

        Assert.Equal(plain.GetProperty("choices").GetRawText(), labelled.GetProperty("choices").GetRawText());
        Assert.False(plain.TryGetProperty("service_tier", out _));
        Assert.Equal("default", labelled.GetProperty("service_tier").GetString());
    }

    [Fact]
    public async Task Chat_DryWithBreakers_IsAnswered() => Assert.NotEmpty(await AnswerAsync("\"dry_multiplier\":0.8,\"seed\":1"));

    [Fact]
    public async Task Tokens_ThereAndBack_AreTheText()
    {
        JsonElement tokens = (await _cell.PostAsync("/tokenize", """{"model":"tiny","content":"What is 27?"}""")).GetProperty("tokens");
        JsonElement back = await _cell.PostAsync("/detokenize", $$"""{"model":"tiny","tokens":{{tokens.GetRawText()}}}""");

        Assert.Equal("What is 27?", back.GetProperty("content").GetString());
    }

    [Fact]
    public async Task Template_OfAConversation_HoldsItsText() =>
        Assert.Contains("What is 27 + 15?", (await _cell.PostAsync("/apply-template", $$"""{"model":"tiny","messages":{{Question}}}""")).GetProperty("prompt").GetString());

    [Theory]
    [InlineData("/v1/embeddings", """{"model":"tiny","input":"a"}""", "model")]
    [InlineData("/v1/embeddings", """{"model":"tiny","input":"a","encoding_format":"int8"}""", "encoding_format")]
    [InlineData("/v1/rerank", """{"model":"tiny","query":"a","documents":["b"]}""", "model")]
    [InlineData("/v1/rerank", """{"model":"tiny","query":"a","documents":[{"text":"b","x":1}]}""", "documents[0].x")]
    [InlineData("/detokenize", """{"model":"tiny","tokens":[1,99999999]}""", "tokens[1]")]
    [InlineData("/tokenize", """{"model":"tiny","content":"a","x":1}""", "x")]
    [InlineData("/v1/chat/completions", """{"model":"tiny","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}]}""", "tools")]
    public async Task Request_ThatTheModelCannotServe_IsRefusedByName(string route, string body, string param)
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync(route, body);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());

        Assert.Equal((400, param), ((int)response.StatusCode, json.RootElement.GetProperty("error").GetProperty("param").GetString()));
    }

    private async Task<string> AnswerAsync(string fields)
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat(fields));
        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        return answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    private static string Chat(string fields) => $$"""{"model":"tiny","messages":{{Question}},{{fields}}}""";
}
