using System.Text;
using System.Text.Json;
using Lamina.Compute.Grammar;
using Lamina.Compute.ToolCalls;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;

namespace Lamina.Coordinator.Tests.Api;

public class ChatPartsTests
{
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}},{"type":"function","function":{"name":"g"}}]
        """;

    [Fact]
    public void Reasoning_BetweenItsMarks_IsNotContent()
    {
        ChatParts parts = Read("", ToolFormat.Hermes, "<think>hm</think>\n\nfour");

        Assert.Equal(("hm", "four", "stop"), (parts.Reasoning, parts.Content, parts.FinishReason("stop")));
    }

    [Fact]
    public void Reasoning_OpenedByThePrompt_IsNotContent()
    {
        var parts = new ChatParts(ChatForm.Of(ToolFormat.None, ToolRequest.Nothing, hasGrammar: false, startsInReasoning: true));
        parts.Take("hm</think>four", isLast: true);

        Assert.Equal(("hm", "four"), (parts.Reasoning, parts.Content));
    }

    [Fact]
    public void Calls_OfAToolUsingModel_AreCalls()
    {
        ChatParts parts = Read(Tools, ToolFormat.Hermes, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call><tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>");

        Assert.Null(parts.Content);
        Assert.Equal([("f", "{\"a\":1}"), ("g", "{}")], parts.Calls.Select(call => (call.Name, call.Arguments.ToString())));
        Assert.All(parts.Calls, call => Assert.Equal(9, call.Id.Length));
        Assert.Equal("tool_calls", parts.FinishReason("stop"));
        Assert.Equal("length", parts.FinishReason("length"));
    }

    [Fact]
    public void Calls_NotParallel_AreOne()
    {
        ChatParts parts = Read(Tools + ",\"parallel_tool_calls\":false", ToolFormat.Hermes, "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call><tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>");

        Assert.Equal("f", Assert.Single(parts.Calls).Name);
    }

    [Fact]
    public void Calls_WithoutTools_AreContent()
    {
        ChatParts parts = Read("", ToolFormat.Llama3, "{\"name\":\"f\",\"parameters\":{}}");

        Assert.Equal("{\"name\":\"f\",\"parameters\":{}}", parts.Content);
        Assert.Empty(parts.Calls);
    }

    [Theory]
    [InlineData(ToolFormat.Hermes, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call>")]
    [InlineData(ToolFormat.None, "{\"name\":\"f\",\"parameters\":{\"a\":1}}")]
    public void Required_InTheModelsFormatOrBare_IsACall(ToolFormat format, string text)
    {
        ChatParts parts = Read(Tools + ",\"tool_choice\":\"required\"", format, text);

        Assert.Equal(("f", "{\"a\":1}"), (parts.Calls[0].Name, parts.Calls[0].Arguments.ToString()));
    }

    [Fact]
    public void Named_TheWholeText_IsItsArguments()
    {
        ChatParts parts = Read(Tools + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", ToolFormat.Hermes, "{\"a\":1}");

        Assert.Equal(("f", "{\"a\":1}"), (parts.Calls[0].Name, parts.Calls[0].Arguments.ToString()));
    }

    [Fact]
    public void Grammar_OfTheCaller_IsContentAsItStands()
    {
        ChatParts parts = Read("\"regex\":\".*\"", ToolFormat.Hermes, "<think>x</think>");

        Assert.Equal("<think>x</think>", parts.Content);
    }

    [Theory]
    [InlineData("required", false, true)]
    [InlineData("required", true, true)]
    [InlineData("auto", false, null)]
    [InlineData("auto", true, false)]
    [InlineData("none", true, null)]
    public void ToolChoice_HoldsCallsByAGrammar(string choice, bool strict, bool? forced)
    {
        string tools = strict ? Tools.Replace("\"name\":\"f\"", "\"name\":\"f\",\"strict\":true", StringComparison.Ordinal) : Tools;
        GrammarSource? grammar = Request($"{tools},\"tool_choice\":\"{choice}\"").Conversation.Tools.Grammar(ToolFormat.Hermes, thinks: false);

        Assert.Equal(forced, grammar is null ? null : JsonDocument.Parse(grammar.Text).RootElement.GetProperty("forced").GetBoolean());
    }

    [Theory]
    [InlineData("low", "{{ reasoning_effort }}", "reasoning_effort", "\"low\"")]
    [InlineData("none", "{% if enable_thinking %}", "enable_thinking", "false")]
    [InlineData("high", "{% if enable_thinking %}", "enable_thinking", "true")]
    public void Effort_ReachesTheTemplateUnderItsName(string effort, string template, string variable, string value)
    {
        ChatConversation conversation = Request($"\"reasoning_effort\":\"{effort}\",\"chat_template_kwargs\":{{\"x\":1}}").Conversation;

        Assert.Equal(value, conversation.VariablesFor(template)![variable]!.ToJsonString());
        Assert.Equal(1, conversation.VariablesFor(template)!["x"]!.GetValue<int>());
        Assert.Equal("reasoning_effort", Assert.Throws<ApiException>(() => conversation.VariablesFor("{{ messages }}")).Error.Param);
    }

    [Fact]
    public void Stream_OfACall_IsStartedThenPassedOn()
    {
        var parts = new ChatParts(ChatForm.Of(ToolFormat.Hermes, Request(Tools).Conversation.Tools, false, false));

        Assert.Equal([new ToolCallStart(0, "f"), new ToolCallArguments(0, "{\"a\":")], parts.Take("<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":", isLast: false));
        Assert.Equal([new ToolCallArguments(0, "1}")], parts.Take("1}}</tool_call>", isLast: true));
    }

    private static ChatParts Read(string fields, ToolFormat format, string text)
    {
        ChatCompletionRequest request = Request(fields);
        var parts = new ChatParts(ChatForm.Of(format, request.Conversation.Tools, request.Options.Sampling.Grammar is not null, startsInReasoning: false));
        parts.Take(text, isLast: true);
        return parts;
    }

    private static ChatCompletionRequest Request(string fields) => ChatCompletionRequest.Parse(Encoding.UTF8.GetBytes(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" + (fields.Length > 0 ? "," + fields : "") + "}"));
}
