using System.Text.Json;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>The Responses API beside chats of the same model, whose answers it must give in its own form.</summary>
public class ResponsesTests(ToolUsingCell shared) : IClassFixture<ToolUsingCell>
{
    private const string Tools = """
        "tools":[{"type":"function","name":"add","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":9}},"required":["a"],"additionalProperties":false}}]
        """;

    private readonly TestCell _cell = shared.Cell;

    [Fact]
    public async Task Response_ToAText_IsTheChatsAnswer()
    {
        JsonElement chat = await _cell.PostAsync("/v1/chat/completions", """{"model":"tools","temperature":0,"max_tokens":12,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is 2 + 3?"}]}""");
        JsonElement response = await _cell.PostAsync("/v1/responses", Body("""
            "max_output_tokens":12,"instructions":"Be brief.","metadata":{"a":"b"}
            """));

        string expected = chat.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        Assert.Equal(expected, Text(response));
        Assert.Equal(("response", 1, "message"), (response.GetProperty("object").GetString(), response.GetProperty("output").GetArrayLength(), response.GetProperty("output")[0].GetProperty("type").GetString()));
        bool whole = chat.GetProperty("choices")[0].GetProperty("finish_reason").GetString() == "stop";
        Assert.Equal(whole ? "completed" : "incomplete", response.GetProperty("status").GetString());
        Assert.Equal(("Be brief.", "b", 12), (response.GetProperty("instructions").GetString(), response.GetProperty("metadata").GetProperty("a").GetString(), response.GetProperty("max_output_tokens").GetInt32()));
        JsonElement usage = response.GetProperty("usage");
        Assert.Equal(chat.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("input_tokens").GetInt32());
        Assert.Equal(usage.GetProperty("total_tokens").GetInt32(), usage.GetProperty("input_tokens").GetInt32() + usage.GetProperty("output_tokens").GetInt32());
    }

    [Fact]
    public async Task Response_Streamed_SaysInTypedEventsWhatTheWholeOneHolds()
    {
        JsonElement whole = await _cell.PostAsync("/v1/responses", Body("\"max_output_tokens\":30"));
        List<(string Name, JsonElement Event)> events = await StreamAsync(Body("\"max_output_tokens\":30,\"stream\":true"));

        Assert.All(events, e => Assert.Equal(e.Name, e.Event.GetProperty("type").GetString()));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(e => e.Event.GetProperty("sequence_number").GetInt32()));
        string[] frame = [.. events.Select(e => e.Name).Where(name => name != "response.output_text.delta")];
        Assert.Equal(
            ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.done", "response.content_part.done",
             "response.output_item.done", $"response.{whole.GetProperty("status").GetString()}"],
            frame);
        string deltas = string.Concat(events.Where(e => e.Name == "response.output_text.delta").Select(e => e.Event.GetProperty("delta").GetString()));
        Assert.Equal(Text(whole), deltas);
        Assert.Equal(deltas, events.Single(e => e.Name == "response.output_text.done").Event.GetProperty("text").GetString());
        JsonElement final = events[^1].Event.GetProperty("response");
        Assert.Equal(Text(whole), Text(final));
        Assert.Equal(JsonValueKind.Null, events[0].Event.GetProperty("response").GetProperty("usage").ValueKind);
        Assert.Equal(final.GetProperty("id").GetString(), events[0].Event.GetProperty("response").GetProperty("id").GetString());
    }

    [Fact]
    public async Task Response_ForcedToCall_GivesACallAndItsDeltas()
    {
        string body = Body($"{Tools},\"tool_choice\":\"required\",\"parallel_tool_calls\":false");
        JsonElement call = (await _cell.PostAsync("/v1/responses", body)).GetProperty("output")[0];
        Assert.Equal(("function_call", "add", "completed"), (call.GetProperty("type").GetString(), call.GetProperty("name").GetString(), call.GetProperty("status").GetString()));
        using JsonDocument arguments = JsonDocument.Parse(call.GetProperty("arguments").GetString()!);
        Assert.InRange(arguments.RootElement.GetProperty("a").GetInt32(), 0, 9);

        List<(string Name, JsonElement Event)> events = await StreamAsync(body.Replace("\"input\"", "\"stream\":true,\"input\"", StringComparison.Ordinal));
        string deltas = string.Concat(events.Where(e => e.Name == "response.function_call_arguments.delta").Select(e => e.Event.GetProperty("delta").GetString()));
        Assert.Equal(call.GetProperty("arguments").GetString(), deltas);
        Assert.Equal(deltas, events.Single(e => e.Name == "response.function_call_arguments.done").Event.GetProperty("arguments").GetString());
        Assert.Equal(events.Single(e => e.Name == "response.output_item.added").Event.GetProperty("item").GetProperty("id").GetString(),
            events.Single(e => e.Name == "response.output_item.done").Event.GetProperty("item").GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("", "response.reasoning_text.delta", "content")]
    [InlineData("\"reasoning\":{\"summary\":\"auto\"},", "response.reasoning_summary_text.delta", "summary")]
    public async Task Response_ThatThinks_HasAReasoningItem(string fields, string delta, string holder)
    {
        string body = Body($"{fields}\"max_output_tokens\":20,\"chat_template_kwargs\":{{\"opening\":\"<think>\"}}");
        JsonElement response = await _cell.PostAsync("/v1/responses", body);
        JsonElement item = response.GetProperty("output")[0];
        Assert.Equal(("reasoning", 1), (item.GetProperty("type").GetString(), item.GetProperty(holder).GetArrayLength()));
        Assert.InRange(response.GetProperty("usage").GetProperty("output_tokens_details").GetProperty("reasoning_tokens").GetInt32(), 1, 20);

        List<(string Name, JsonElement Event)> events = await StreamAsync(body.Replace("\"input\"", "\"stream\":true,\"input\"", StringComparison.Ordinal));
        Assert.Equal(item.GetProperty(holder)[0].GetProperty("text").GetString(), string.Concat(events.Where(e => e.Name == delta).Select(e => e.Event.GetProperty("delta").GetString())));
    }

    [Fact]
    public async Task Response_Stored_IsReadContinuedAndDeleted()
    {
        JsonElement first = await _cell.PostAsync("/v1/responses", Body("\"max_output_tokens\":10"));
        string id = first.GetProperty("id").GetString()!;
        Assert.Equal(first.GetRawText(), (await GetAsync($"/v1/responses/{id}")).GetRawText());

        JsonElement items = await GetAsync($"/v1/responses/{id}/input_items?order=asc");
        Assert.Equal("What is 2 + 3?", items.GetProperty("data")[0].GetProperty("content")[0].GetProperty("text").GetString());

        JsonElement second = await _cell.PostAsync("/v1/responses", $$"""{"model":"tools","temperature":0,"max_output_tokens":10,"input":"And 3 + 4?","previous_response_id":"{{id}}"}""");
        JsonElement spelledOut = await _cell.PostAsync("/v1/responses", $$"""
            {"model":"tools","temperature":0,"max_output_tokens":10,"input":[{"role":"user","content":"What is 2 + 3?"},
             {"type":"message","role":"assistant","content":[{"type":"output_text","text":{{JsonSerializer.Serialize(Text(first))}},"annotations":[]}]},{"role":"user","content":"And 3 + 4?"}]}
            """);
        Assert.Equal(Text(spelledOut), Text(second));
        Assert.Equal(spelledOut.GetProperty("usage").GetProperty("input_tokens").GetInt32(), second.GetProperty("usage").GetProperty("input_tokens").GetInt32());

        using HttpResponseMessage deleted = await _cell.Http.DeleteAsync($"/v1/responses/{id}");
        Assert.Contains("\"deleted\":true", await deleted.Content.ReadAsStringAsync());
        using HttpResponseMessage gone = await _cell.Http.GetAsync($"/v1/responses/{id}");
        Assert.Equal(404, (int)gone.StatusCode);
        (int status, string? param) = await RefusedAsync($$"""{"model":"tools","input":"x","previous_response_id":"{{id}}"}""");
        Assert.Equal((400, "previous_response_id"), (status, param));
    }

    [Fact]
    public async Task Response_NotStored_IsNotFound()
    {
        JsonElement response = await _cell.PostAsync("/v1/responses", Body("\"max_output_tokens\":3,\"store\":false"));
        Assert.False(response.GetProperty("store").GetBoolean());
        using HttpResponseMessage gone = await _cell.Http.GetAsync($"/v1/responses/{response.GetProperty("id").GetString()}");
        Assert.Equal(404, (int)gone.StatusCode);
    }

    [Fact]
    public async Task Response_ToACallsOutput_ShowsBothToTheModel()
    {
        // The template shows calls and results, so that the prompt grows by them.
        JsonElement with = await _cell.PostAsync("/v1/responses", """
            {"model":"tools","max_output_tokens":1,"input":[{"role":"user","content":"q"},{"type":"reasoning","id":"rs_1","summary":[]},{"type":"function_call","call_id":"abcdefghi","name":"add","arguments":"{\"a\":1}"},
             {"type":"function_call_output","call_id":"abcdefghi","output":"two"}]}
            """);
        JsonElement chat = await _cell.PostAsync("/v1/chat/completions", """
            {"model":"tools","max_tokens":1,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},
             {"role":"tool","tool_call_id":"abcdefghi","content":"two"}]}
            """);
        Assert.Equal(chat.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), with.GetProperty("usage").GetProperty("input_tokens").GetInt32());
    }

    [Fact]
    public async Task Response_LogProbsWanted_ComeWithTheText()
    {
        JsonElement response = await _cell.PostAsync("/v1/responses", Body("\"max_output_tokens\":6,\"top_logprobs\":2,\"include\":[\"message.output_text.logprobs\"]"));
        JsonElement part = response.GetProperty("output")[0].GetProperty("content")[0];
        JsonElement[] tokens = [.. part.GetProperty("logprobs").EnumerateArray()];
        Assert.InRange(tokens.Length, 1, 6);
        Assert.All(tokens, token => Assert.Equal((2, token.GetProperty("logprob").GetDouble()), (token.GetProperty("top_logprobs").GetArrayLength(), token.GetProperty("top_logprobs")[0].GetProperty("logprob").GetDouble())));
        Assert.StartsWith(part.GetProperty("text").GetString()!, string.Concat(tokens.Select(token => token.GetProperty("token").GetString())), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Response_LabelsOfTheCaller_AreGivenBack()
    {
        JsonElement plain = await _cell.PostAsync("/v1/responses", Body("\"max_output_tokens\":6"));
        JsonElement response = await _cell.PostAsync("/v1/responses", Body("""
            "max_output_tokens":6,"prompt_cache_key":"k","safety_identifier":"s","service_tier":"default","user":"u","max_tool_calls":3
            """));
        Assert.Equal(Text(plain), Text(response));
        Assert.Equal(
            ("k", "s", "default", "u", 3),
            (response.GetProperty("prompt_cache_key").GetString(), response.GetProperty("safety_identifier").GetString(), response.GetProperty("service_tier").GetString(),
             response.GetProperty("user").GetString(), response.GetProperty("max_tool_calls").GetInt32()));
    }

    [Fact]
    public async Task Response_HeldToASchema_Validates()
    {
        JsonElement response = await _cell.PostAsync("/v1/responses", Body("""
            "text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99}},"required":["n"],"additionalProperties":false} } }
            """));
        using JsonDocument json = JsonDocument.Parse(Text(response));
        Assert.InRange(json.RootElement.GetProperty("n").GetInt32(), 0, 99);
        Assert.Equal("json_schema", response.GetProperty("text").GetProperty("format").GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("\"background\":true", "background")]
    [InlineData("\"truncation\":\"auto\"", "truncation")]
    [InlineData("\"include\":[\"reasoning.encrypted_content\"]", "include[0]")]
    [InlineData("\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice")]
    [InlineData("\"reasoning\":{\"effort\":\"low\"}", "reasoning.effort")]
    [InlineData("\"text\":{\"format\":{\"type\":\"xml\"} }", "text.format.type")]
    [InlineData("\"stream_options\":{}", "stream_options")]
    [InlineData("\"conversation\":\"c\"", "conversation")]
    [InlineData("\"messages\":[]", "messages")]
    public async Task Request_ThatCannotBe_IsRefusedByName(string field, string param) => Assert.Equal((400, param), await RefusedAsync(Body(field)));

    [Theory]
    [InlineData("[]", "input")]
    [InlineData("[{\"type\":\"item_reference\",\"id\":\"x\"}]", "input[0].type")]
    [InlineData("[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]", "input[0].content[0].type")]
    [InlineData("[{\"type\":\"function_call_output\",\"output\":\"x\"}]", "input[0].call_id")]
    [InlineData("[{\"role\":\"user\",\"content\":\"x\",\"colour\":1}]", "input[0].colour")]
    public async Task Input_ThatCannotBe_IsRefusedByName(string input, string param) => Assert.Equal((400, param), await RefusedAsync($$"""{"model":"tools","input":{{input}}}"""));

    private static string Text(JsonElement response) => response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString()!;

    private static string Body(string fields) => $$"""{"model":"tools","temperature":0,{{fields}},"input":"What is 2 + 3?"}""";

    private async Task<JsonElement> GetAsync(string path)
    {
        using JsonDocument json = JsonDocument.Parse(await _cell.Http.GetStringAsync(path));
        return json.RootElement.Clone();
    }

    private async Task<(int Status, string? Param)> RefusedAsync(string body)
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/responses", body);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return ((int)response.StatusCode, json.RootElement.GetProperty("error").GetProperty("param").GetString());
    }

    private async Task<List<(string Name, JsonElement Event)>> StreamAsync(string body)
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/responses", body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.DoesNotContain("[DONE]", text);
        var events = new List<(string, JsonElement)>();
        foreach (string frame in text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            Dictionary<string, string> lines = frame.Split('\n').Select(line => line.Split(": ", 2)).ToDictionary(parts => parts[0], parts => parts[1]);
            using JsonDocument json = JsonDocument.Parse(lines["data"]);
            events.Add((lines["event"], json.RootElement.Clone()));
        }

        return events;
    }
}
