using System.Text;
using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>The built-in model with a chat template that shows tools, calls and their results.</summary>
public sealed class ToolUsingCell : IAsyncLifetime
{
    private const string Template =
        "{% if tools %}{{ tools | tojson }}<tool_call>{% endif %}{% for m in messages %}{{ m.role }}: {{ m.content }}"
        + "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}assistant: {{ opening }}";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-tools-").FullName;

    internal TestCell Cell { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        string path = Path.Combine(_folder, "tools.gguf");
        using (GgufFile tiny = GgufFile.Open(Repository.File("models/lamina-tiny-q8_0.gguf")))
        {
            GgufMetadata metadata = new GgufMetadataBuilder(tiny.Metadata).Set("tokenizer.chat_template", Template).Build();
            File.WriteAllBytes(path, GgufWriter.ToBytes(metadata, [.. tiny.Tensors.Select(t => (new GgufTensorInfo(t.Name, t.Type, t.Dimensions, 0), t.RowBytes(0, (int)t.Rows).ToArray()))]));
        }

        Cell = await TestCell.StartAsync(new ModelOptions { Name = "tools", Path = path, Nodes = 1, KvCacheType = "q8_0" }, "node-1");
        await Cell.ReadyAsync("tools");
    }

    public async ValueTask DisposeAsync()
    {
        await Cell.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

public class ToolCallTests(ToolUsingCell shared) : IClassFixture<ToolUsingCell>
{
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":9}},"required":["a"],"additionalProperties":false}}}]
        """;

    private readonly TestCell _cell = shared.Cell;

    [Theory]
    [InlineData("\"required\"")]
    [InlineData("""{"type":"function","function":{"name":"add"}}""")]
    public async Task Chat_AForcedCall_HoldsToItsSchema(string choice)
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat($"{Tools},\"tool_choice\":{choice},\"parallel_tool_calls\":false"));

        JsonElement first = answer.GetProperty("choices")[0];
        Assert.Equal("tool_calls", first.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, first.GetProperty("message").GetProperty("content").ValueKind);
        JsonElement function = first.GetProperty("message").GetProperty("tool_calls")[0].GetProperty("function");
        Assert.Equal("add", function.GetProperty("name").GetString());
        using JsonDocument arguments = JsonDocument.Parse(function.GetProperty("arguments").GetString()!);
        Assert.InRange(arguments.RootElement.GetProperty("a").GetInt32(), 0, 9);
    }

    [Fact]
    public async Task Chat_AForcedCallStreamed_IsTheSameInDeltas()
    {
        string fields = Tools + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false";
        JsonElement whole = (await _cell.PostAsync("/v1/chat/completions", Chat(fields))).GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls")[0];
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/chat/completions", Chat(fields + ",\"stream\":true"));
        var arguments = new StringBuilder();
        string? name = null;
        foreach (string line in (await response.Content.ReadAsStringAsync()).Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)))
        {
            using JsonDocument chunk = JsonDocument.Parse(line[6..]);
            if (chunk.RootElement.GetProperty("choices")[0].GetProperty("delta").TryGetProperty("tool_calls", out JsonElement calls))
            {
                JsonElement function = calls[0].GetProperty("function");
                name ??= function.GetProperty("name").GetString();
                arguments.Append(function.GetProperty("arguments").GetString());
            }
        }

        Assert.Equal(whole.GetProperty("function").GetProperty("name").GetString(), name);
        Assert.Equal(whole.GetProperty("function").GetProperty("arguments").GetString(), arguments.ToString());
    }

    [Fact]
    public async Task Chat_SeveralRequiredCalls_EachHoldToTheSchema()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat($"{Tools},\"tool_choice\":\"required\"").Replace("\"max_tokens\":160", "\"max_tokens\":900", StringComparison.Ordinal));

        JsonElement[] calls = [.. answer.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray()];
        Assert.InRange(calls.Length, 1, 16);
        Assert.All(calls[..^1], call => Assert.Matches("^\\{\\s*\"a\":\\s*[0-9]\\s*\\}$", call.GetProperty("function").GetProperty("arguments").GetString()));
    }

    [Fact]
    public async Task Chat_AStrictToolLeftToTheModel_IsAnsweredAsWithoutStrictness()
    {
        // This model makes no call by itself, and what is no call is free.
        JsonElement free = await _cell.PostAsync("/v1/chat/completions", Chat(Tools));
        JsonElement strict = await _cell.PostAsync("/v1/chat/completions", Chat(Tools.Replace("\"name\":\"add\"", "\"name\":\"add\",\"strict\":true", StringComparison.Ordinal)));

        Assert.Equal(free.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), strict.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Template_CallAndResult_AreShown()
    {
        JsonElement answer = await _cell.PostAsync("/apply-template", """
            {"model":"tools","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"abcdefghi","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},
             {"role":"tool","tool_call_id":"abcdefghi","content":"two"}],"chat_template_kwargs":{"opening":"so"}}
            """);

        string prompt = answer.GetProperty("prompt").GetString()!;
        Assert.Contains("add{\"a\": 1}", prompt);
        Assert.EndsWith("tool: twoassistant: so", prompt);
    }

    [Fact]
    public async Task Chat_PromptOpensReasoning_AnswerBeginsInIt()
    {
        JsonElement answer = await _cell.PostAsync("/v1/chat/completions", Chat("\"chat_template_kwargs\":{\"opening\":\"<think>\"}"));

        JsonElement message = answer.GetProperty("choices")[0].GetProperty("message");
        Assert.NotEmpty(message.GetProperty("reasoning_content").GetString()!);
        Assert.Equal("", message.GetProperty("content").GetString());
    }

    private static string Chat(string fields) => $$"""{"model":"tools","temperature":0,"max_tokens":160,"messages":[{"role":"user","content":"What is 2 + 3?"}],{{fields}}}""";
}
