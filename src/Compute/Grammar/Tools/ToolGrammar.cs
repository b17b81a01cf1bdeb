using System.Text.Json;
using Lamina.Compute.Grammar.Json;
using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Grammar.Tools;

/// <summary>
/// Holds calls of tools to their schemas in the format that the model writes them in: an answer of calls alone, or a free text in which each call, once its mark has come,
/// must be one. Its source is JSON: <c>{"format","forced","parallel","thinks","tools":[{"name","parameters"}]}</c>.
/// </summary>
internal sealed class ToolGrammar
{
    /// <summary>Calls of one answer: a model that is made to call does not always know when to stop.</summary>
    private const int MaxCalls = 16;

    private static readonly CodePointSet Blanks = CodePointSet.Of(" \n\r\t");
    private static readonly Pattern Space = JsonPatterns.Space;
    private static readonly Pattern Comma = Pattern.Sequence(Space, Pattern.Text(","), Space);

    private readonly GrammarBuilder _builder = new();
    private readonly ToolFormat _format;
    private readonly bool _forced;
    private readonly bool _parallel;
    private readonly bool _thinks;
    private readonly (string Name, Pattern Arguments)[] _tools;

    private ToolGrammar(JsonElement source)
    {
        _format = Enum.TryParse(source.GetProperty("format").GetString(), out ToolFormat format) && Enum.IsDefined(format) ? format : throw new GrammarException("the format of tool calls is unknown");
        (_forced, _parallel, _thinks) = (source.GetProperty("forced").GetBoolean(), source.GetProperty("parallel").GetBoolean(), source.GetProperty("thinks").GetBoolean());
        _tools = [.. source.GetProperty("tools").EnumerateArray().Select(tool =>
            (tool.GetProperty("name").GetString()!, Pattern.Rule(_builder.Add("arguments", new SchemaConverter(tool.GetProperty("parameters"), _builder).ConvertPart()))))];
        if (_tools.Length == 0)
        {
            throw new GrammarException("there is no tool to call");
        }
    }

    /// <summary>Throws <see cref="GrammarException"/> when the source is not of this form, or a schema cannot be honoured.</summary>
    public static CompiledGrammar Compile(JsonElement source)
    {
        try
        {
            var grammar = new ToolGrammar(source);
            return grammar._builder.Build(grammar._builder.Add("root", grammar.Root()), grammar._format);
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException)
        {
            throw new GrammarException("the description of the tools is malformed");
        }
    }

    private Pattern Root()
    {
        if (!_forced)
        {
            return Free();
        }

        if (!_thinks)
        {
            return Forced();
        }

        // The prompt opened the reasoning, which ends by itself.
        FreeText reasoning = new(_builder, mayEnd: false);
        return reasoning.Define((_format == ToolFormat.CommandR ? "<|END_THINKING|>" : "</think>", Pattern.Sequence(Pattern.Repeat(Pattern.Text("\n"), 0, 2), Forced()))).Start;
    }

    private Pattern Free()
    {
        FreeText text = new(_builder, mayEnd: true);
        Pattern after = _parallel ? text.Start : Pattern.Repeat(Pattern.Set(Blanks), 0, 4);
        FreeText defined = text.Define([.. Marks().Select(form => (form.Mark, Pattern.Sequence(form.Call, after)))]);
        if (_format != ToolFormat.Llama3)
        {
            return defined.Start;
        }

        // An answer that begins with a brace is a call.
        int start = _builder.Declare("start");
        _builder.Define(start, Pattern.Choice(
            Pattern.Sequence(Pattern.Set(Blanks), Pattern.Rule(start)), List(ObjectCall("name", "parameters"), Pattern.Text(";")), defined.From("", CodePointSet.Of([.. Blanks.Ranges, ('{', '{')]))));
        return Pattern.Rule(start);
    }

    private Pattern Forced()
    {
        if (_format is ToolFormat.Llama3 or ToolFormat.None)
        {
            return List(ObjectCall("name", "parameters"), Pattern.Text(";"));
        }

        (string mark, Pattern call) = Marks()[0];
        Pattern one = Pattern.Sequence(Pattern.Text(mark), call);
        return _parallel ? Pattern.Sequence(one, Pattern.Repeat(Pattern.Sequence(Pattern.Repeat(Pattern.Text("\n"), 0, 1), one), 0, MaxCalls - 1)) : one;
    }

    /// <summary>The marks that announce calls, each with what follows it; the first is the one for an answer of calls alone.</summary>
    private (string Mark, Pattern Call)[] Marks() => _format switch
    {
        ToolFormat.Hermes => [("<tool_call>", Pattern.Sequence(Space, ObjectCall("name", "arguments"), Space, Pattern.Text("</tool_call>")))],
        ToolFormat.Llama3 => [("<|python_tag|>", Pattern.Sequence(Space, List(ObjectCall("name", "parameters"), Pattern.Text(";"))))],
        ToolFormat.Mistral =>
        [
            ("[TOOL_CALLS]", Pattern.Sequence(Space, Pattern.Choice(
                Pattern.Sequence(Pattern.Text("["), Space, List(ObjectCall("name", "arguments"), Pattern.Text(",")), Space, Pattern.Text("]")), Named(Pattern.Text("[ARGS]"))))),
        ],
        ToolFormat.CommandR => Actions(),
        ToolFormat.DeepSeek =>
        [
            ("<｜tool▁call▁begin｜>", Pattern.Sequence(
                Pattern.Choice(
                    Pattern.Sequence(Pattern.Text("function<｜tool▁sep｜>"), Named(Pattern.Text("\n```json\n")), Pattern.Text("\n```")), Named(Pattern.Text("<｜tool▁sep｜>"))),
                Pattern.Text("<｜tool▁call▁end｜>"))),
        ],
        ToolFormat.Harmony => Channels(),
        _ => [],
    };

    private (string, Pattern)[] Actions()
    {
        Pattern id = Pattern.Sequence(Pattern.Text("\"tool_call_id\":"), Space, JsonPatterns.Quoted(Pattern.Repeat(Pattern.Set(CodePointSet.Of("0123456789")), 1, 3)), Comma);
        Pattern list = Pattern.Sequence(Space, Pattern.Text("["), Space, List(ObjectCall("tool_name", "parameters", Pattern.Optional(id)), Pattern.Text(",")), Space, Pattern.Text("]"), Space);
        Pattern fenced = Pattern.Sequence(list, Pattern.Text("```"));
        return [("<|START_ACTION|>", Pattern.Sequence(list, Pattern.Text("<|END_ACTION|>"))), ("Action: ```json", fenced), ("Action:\n```json", fenced)];
    }

    /// <summary>A message to a function on the channel for comments; the token that ends it ends the answer.</summary>
    private (string, Pattern)[] Channels()
    {
        Pattern header = Pattern.Sequence(
            Pattern.Optional(Pattern.Text("<|channel|>commentary")), Pattern.Optional(Pattern.Text(" ")), Pattern.Optional(Pattern.Text("<|constrain|>")), Pattern.Optional(Pattern.Text("json")),
            Pattern.Text("<|message|>"));
        Pattern call = Pattern.Sequence(Named(header), Pattern.Optional(Pattern.Text("<|call|>")));
        return _forced ? [("<|channel|>commentary to=functions.", call)] : [("to=functions.", call)];
    }

    private Pattern List(Pattern call, Pattern separator) =>
        _parallel ? Pattern.Sequence(call, Pattern.Repeat(Pattern.Sequence(Space, separator, Space, call), 0, MaxCalls - 1)) : call;

    private Pattern ObjectCall(string nameKey, string argumentsKey, Pattern? before = null) => Pattern.Sequence(
        Pattern.Text("{"), Space, before ?? Pattern.Empty, Pattern.Text($"\"{nameKey}\":"), Space,
        Pattern.Choice([.. _tools.Select(tool => Pattern.Sequence(Pattern.Text($"\"{tool.Name}\""), Comma, Pattern.Text($"\"{argumentsKey}\":"), Space, tool.Arguments))]),
        Space, Pattern.Text("}"));

    private Pattern Named(Pattern between) => Pattern.Choice([.. _tools.Select(tool => Pattern.Sequence(Pattern.Text(tool.Name), between, tool.Arguments))]);
}
