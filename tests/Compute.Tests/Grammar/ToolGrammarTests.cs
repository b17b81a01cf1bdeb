using System.Text;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar;
using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>Calls in every format, as the parsers of the formats are tested with, held to a schema.</summary>
public class ToolGrammarTests
{
    private const string Whole = """{"n": 7}""";
    private const string Wrong = """{"n": "seven"}""";

    public static TheoryData<ToolFormat, string, string> Calls => new()
    {
        { ToolFormat.Hermes, "Let me see.\n<tool_call>\n{\"name\": \"add\", \"arguments\": ", "}\n</tool_call>" },
        { ToolFormat.Llama3, "{\"name\": \"add\", \"parameters\": ", "}" },
        { ToolFormat.Llama3, "I call <|python_tag|>{\"name\": \"add\", \"parameters\": ", "}" },
        { ToolFormat.Mistral, "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": ", "}]" },
        { ToolFormat.Mistral, "[TOOL_CALLS]add[ARGS]", "" },
        { ToolFormat.CommandR, "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"add\", \"parameters\": ", "}\n]<|END_ACTION|>" },
        { ToolFormat.CommandR, "Action: ```json\n[\n    {\n        \"tool_name\": \"add\",\n        \"parameters\": ", "\n    }\n]\n```" },
        { ToolFormat.DeepSeek, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n", "\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>" },
        { ToolFormat.Harmony, "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>", "" },
    };

    [Theory, MemberData(nameof(Calls))]
    public void FreeAnswer_WithACall_IsHeldToItsSchemaAndReadByTheParser(ToolFormat format, string before, string after)
    {
        CompiledGrammar grammar = Compile(format, forced: false);
        Assert.True(Accepts(grammar, before + Whole + after));
        Assert.False(CanBegin(grammar, before + Wrong));
        Assert.False(CanBegin(grammar, before.Replace("add", "subtract", StringComparison.Ordinal) + "{"));

        AnswerDelta[] deltas = Parse(format, before + Whole + after);
        Assert.Equal("add", Assert.Single(deltas.OfType<ToolCallStart>()).Name);
        Assert.Equal(Whole, string.Concat(deltas.OfType<ToolCallArguments>().Select(delta => delta.Text)));
    }

    [Theory]
    [InlineData(ToolFormat.Hermes, "no call at all: <tool, <tool_cal, <<tool_ and \u00e9\u4e2d")]
    [InlineData(ToolFormat.Llama3, "  some text {with} braces")]
    [InlineData(ToolFormat.Mistral, "[TOOL and [TOOL_CALL")]
    [InlineData(ToolFormat.Harmony, "<|channel|>final<|message|>to be or not to=function")]
    [InlineData(ToolFormat.CommandR, "Action: none, Action:\n```js")]
    public void FreeAnswer_WithoutACall_MayBeAnything(ToolFormat format, string text) => Assert.True(Accepts(Compile(format, forced: false), text));

    [Theory]
    [InlineData(ToolFormat.Hermes, "<tool_call>{\"name\":\"add\",\"arguments\":{\"n\":1}}</tool_call>", "\n<tool_call>{\"name\":\"add\",\"arguments\":{\"n\":2}}</tool_call>")]
    [InlineData(ToolFormat.None, "{\"name\":\"add\",\"parameters\":{\"n\":1}}", ";{\"name\":\"add\",\"parameters\":{\"n\":2}}")]
    [InlineData(ToolFormat.Mistral, "[TOOL_CALLS][{\"name\":\"add\",\"arguments\":{\"n\":1}}", ",{\"name\":\"add\",\"arguments\":{\"n\":2}}]")]
    [InlineData(ToolFormat.DeepSeek, "<｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"n\":1}<｜tool▁call▁end｜>", "\n<｜tool▁call▁begin｜>add<｜tool▁sep｜>{\"n\":2}<｜tool▁call▁end｜>")]
    public void ForcedAnswer_HoldsCallsAlone_SeveralOnlyWhereAllowed(ToolFormat format, string one, string more)
    {
        Assert.True(Accepts(Compile(format, forced: true), one + more));
        Assert.False(CanBegin(Compile(format, forced: true, parallel: false), one + more));
        Assert.False(CanBegin(Compile(format, forced: true), "I"));
        Assert.Equal(2, Parse(format == ToolFormat.None ? ToolFormat.Llama3 : format, one + more).OfType<ToolCallStart>().Count());
    }

    [Fact]
    public void ForcedAnswer_InReasoning_CallsBehindIt()
    {
        CompiledGrammar grammar = Compile(ToolFormat.Hermes, forced: true, thinks: true);
        Assert.True(Accepts(grammar, "What is </this>? I see.</think>\n\n<tool_call>{\"name\":\"add\",\"arguments\":{\"n\":1}}</tool_call>"));
        Assert.False(Accepts(grammar, "What is this?"));
        Assert.False(CanBegin(grammar, "I see.</think>Hello"));
    }

    [Theory]
    [InlineData("""{"format":"Esperanto","forced":true,"parallel":true,"thinks":false,"tools":[{"name":"a","parameters":{}}]}""")]
    [InlineData("""{"format":"Hermes","forced":true,"parallel":true,"thinks":false,"tools":[]}""")]
    [InlineData("""{"format":"Hermes"}""")]
    [InlineData("""{"format":"Hermes","forced":true,"parallel":true,"thinks":false,"tools":[{"name":"a","parameters":{"type":"wizard"}}]}""")]
    [InlineData("[1]")]
    public void Description_ThatIsNone_IsRefused(string text) => Assert.Throws<GrammarException>(() => new GrammarSource(GrammarKind.ToolCalls, text).Compile());

    private static CompiledGrammar Compile(ToolFormat format, bool forced, bool parallel = true, bool thinks = false) => new GrammarSource(GrammarKind.ToolCalls, new JsonObject
    {
        ["format"] = format.ToString(), ["forced"] = forced, ["parallel"] = parallel, ["thinks"] = thinks,
        ["tools"] = JsonNode.Parse("""
            [{"name":"add","parameters":{"type":"object","properties":{"n":{"$ref":"#/$defs/digit"}},"required":["n"],"additionalProperties":false,"$defs":{"digit":{"type":"integer","minimum":0,"maximum":9}}}}]
            """),
    }.ToJsonString()).Compile();

    private static AnswerDelta[] Parse(ToolFormat format, string text)
    {
        var parser = new AnswerParser(format);
        return [.. parser.Append(text), .. parser.Finish()];
    }

    private static bool Accepts(CompiledGrammar grammar, string text) => Run(grammar, text, out GrammarAutomaton automaton) is var state && state != GrammarAutomaton.Dead && automaton.IsAccepting(state);

    private static bool CanBegin(CompiledGrammar grammar, string text) => Run(grammar, text, out _) != GrammarAutomaton.Dead;

    private static int Run(CompiledGrammar grammar, string text, out GrammarAutomaton automaton)
    {
        automaton = new GrammarAutomaton(grammar.Code);
        int state = automaton.Start;
        foreach (byte value in Encoding.UTF8.GetBytes(text))
        {
            state = automaton.Next(state, value);
        }

        return state;
    }
}
