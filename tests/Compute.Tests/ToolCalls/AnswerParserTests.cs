using System.Text;
using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Tests.ToolCalls;

public sealed class AnswerParserTests
{
    /// <summary>What becomes of each answer: reasoning as R(...), content as C(...), calls as name(arguments).</summary>
    [Theory]
    [InlineData(ToolFormat.None, "<think>\nhm</think>\n\nHello < world", "R(hm)C(Hello < world)")]
    [InlineData(ToolFormat.None, "plain <tool_call>{}", "C(plain <tool_call>{})")]
    [InlineData(ToolFormat.Hermes, "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}{\\\"\"}}\n</tool_call>\n<tool_call>{\"arguments\": {}, \"name\": \"g\"}</tool_call>",
        "C(Let me see.\n)f({\"a\": \"}{\\\"\"})g({})")]
    [InlineData(ToolFormat.Hermes, "<think>a<tool_call>b</think><tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>done", "R(a<tool_call>b)f({})C(done)")]
    [InlineData(ToolFormat.Hermes, "a <tool_calls> b <", "C(a <tool_calls> b <)")]
    [InlineData(ToolFormat.Hermes, "<tool_call>no json</tool_call>", "C(no json</tool_call>)")]
    [InlineData(ToolFormat.Llama3, " {\"name\": \"f\", \"parameters\": {\"x\": [1, {\"y\": 2}]}}", "f({\"x\": [1, {\"y\": 2}]})")]
    [InlineData(ToolFormat.Llama3, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"type\": \"function\", \"name\": \"g\", \"parameters\": {\"a\":1}}<|eom_id|>", "f({})g({\"a\":1})")]
    [InlineData(ToolFormat.Llama3, "{\"answer\": 42}", "C({\"answer\": 42})")]
    [InlineData(ToolFormat.Llama3, "Use {\"name\": \"f\"}", "C(Use {\"name\": \"f\"})")]
    [InlineData(ToolFormat.Mistral, "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"x\"}, {\"name\": \"g\", \"arguments\": {}}]", "f({\"a\": 1})g({})")]
    [InlineData(ToolFormat.Mistral, "Sure[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]123[ARGS]{}", "C(Sure)f({\"a\": 1})g({})")]
    [InlineData(ToolFormat.CommandR, "<|START_THINKING|>plan<|END_THINKING|><|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"q\": \"x\"}}\n]<|END_ACTION|>", "R(plan)f({\"q\": \"x\"})")]
    [InlineData(ToolFormat.CommandR, "Action:\n```json\n[{\"tool_name\": \"f\", \"parameters\": {}}]\n```", "f({})")]
    [InlineData(ToolFormat.CommandR, "<|START_RESPONSE|>Hi<|END_RESPONSE|>", "C(Hi)")]
    [InlineData(ToolFormat.DeepSeek, "<think>t</think>ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "R(t)C(ok)f({\"a\": 1})g({})")]
    [InlineData(ToolFormat.DeepSeek, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "f({\"a\": 1})")]
    [InlineData(ToolFormat.Harmony, "<|channel|>analysis<|message|>think<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}<|call|>", "R(think)f({\"a\":1})")]
    [InlineData(ToolFormat.Harmony, "<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>final<|message|>Hello<|return|>", "R(t)C(Hello)")]
    public void Answer_InPiecesOfAnySize_IsDividedAlike(ToolFormat format, string answer, string expected)
    {
        foreach (int size in new[] { 1, 2, 3, 7, 1000 })
        {
            AnswerParser parser = new(format);
            List<AnswerDelta> deltas = [];
            for (int at = 0; at < answer.Length; at += size)
            {
                deltas.AddRange(parser.Append(answer[at..Math.Min(at + size, answer.Length)]));
            }

            deltas.AddRange(parser.Finish());
            Assert.Equal(expected, Written(deltas));
        }
    }

    [Fact]
    public void Arguments_AsTheyStream_ArePassedOnAtOnce()
    {
        AnswerParser parser = new(ToolFormat.Hermes);
        Assert.Equal([new ToolCallStart(0, "f"), new ToolCallArguments(0, "{\"city\": \"Ro")], parser.Append("<tool_call>{\"name\": \"f\", \"arguments\": {\"city\": \"Ro"));
        Assert.Equal([new ToolCallArguments(0, "me\"}")], parser.Append("me\"}}"));
        Assert.Equal(1, parser.CallCount);
    }

    [Fact]
    public void Reasoning_OpenedByThePrompt_IsReasoning()
    {
        AnswerParser parser = new(ToolFormat.None, startsInReasoning: true);
        Assert.Equal("R(hm)C(yes)", Written([.. parser.Append("hm</think>\nyes"), .. parser.Finish()]));
    }

    [Theory]
    [InlineData("{{ '<tool_call>' }}", ToolFormat.Hermes)]
    [InlineData("{{ '[TOOL_CALLS]' }}", ToolFormat.Mistral)]
    [InlineData("{{ '<|start_header_id|>' }}", ToolFormat.Llama3)]
    [InlineData("{{ '<|im_start|>' }}", ToolFormat.None)]
    public void Format_OfATemplate_IsToldByItsMarks(string template, ToolFormat expected) => Assert.Equal(expected, ToolFormats.Of(template));

    private static string Written(IEnumerable<AnswerDelta> deltas)
    {
        StringBuilder text = new();
        string open = "";
        foreach (AnswerDelta delta in deltas)
        {
            (string kind, string part) = delta switch
            {
                ContentDelta content => ("C", content.Text),
                ReasoningDelta reasoning => ("R", reasoning.Text),
                ToolCallStart start => (start.Name + start.Index, ""),
                ToolCallArguments arguments => (open, arguments.Text),
                _ => throw new InvalidOperationException(),
            };
            if (kind != open)
            {
                text.Append(open.Length > 0 ? ")" : "").Append(delta is ToolCallStart call ? call.Name : kind).Append('(');
                open = kind;
            }

            text.Append(part);
        }

        return text.Append(open.Length > 0 ? ")" : "").ToString();
    }
}
