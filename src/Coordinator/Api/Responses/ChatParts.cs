using System.Security.Cryptography;
using System.Text;
using Lamina.Compute.ToolCalls;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>How the text of a chat's answers is to be read.</summary>
/// <param name="Format">Null: the text is content as it stands, because a grammar of the caller's made it.</param>
/// <param name="Function">The function whose arguments the whole text is, or null.</param>
/// <param name="StartsInReasoning">Whether the prompt ended within reasoning.</param>
internal sealed record ChatForm(ToolFormat? Format, string? Function, bool StartsInReasoning, bool ParallelCalls)
{
    /// <summary>Control tokens that a reader of this form must see.</summary>
    public bool Shows(string token) => Format is { } format && ToolFormats.IsMark(format, token);

    public static ChatForm Of(ToolFormat model, ToolRequest tools, bool hasGrammar, bool startsInReasoning) => tools.Use switch
    {
        ToolUse.Named => new ChatForm(null, tools.Function, false, tools.Parallel),

        // Where the model has no format of its own, a forced call comes as a bare object, which is how Llama 3 writes them.
        ToolUse.Required => new ChatForm(model == ToolFormat.None ? ToolFormat.Llama3 : model, null, startsInReasoning, tools.Parallel),
        ToolUse.Auto => new ChatForm(model, null, startsInReasoning, tools.Parallel),
        _ when hasGrammar => new ChatForm(null, null, false, true),

        // Without tools nothing is a call; these two have marks of their own around plain answers.
        _ => new ChatForm(model is ToolFormat.Harmony or ToolFormat.CommandR ? model : ToolFormat.None, null, startsInReasoning, true),
    };
}

/// <summary>One choice of a chat, divided into content, reasoning and calls as it comes.</summary>
internal sealed class ChatParts(ChatForm form)
{
    private readonly AnswerParser? _parser = form.Format is { } format ? new AnswerParser(format, form.StartsInReasoning) : null;
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _reasoning = new();
    private readonly List<(string Id, string Name, StringBuilder Arguments)> _calls = [];

    public string? Content => _content.Length > 0 || _calls.Count == 0 ? _content.ToString() : null;

    public string? Reasoning => _reasoning.Length > 0 ? _reasoning.ToString() : null;

    public IReadOnlyList<(string Id, string Name, StringBuilder Arguments)> Calls => _calls;

    /// <summary>Takes the next text and gives what is new in it.</summary>
    public IReadOnlyList<AnswerDelta> Take(string text, bool isLast)
    {
        List<AnswerDelta> deltas = [];
        if (form.Function is { } function)
        {
            if (_calls.Count == 0)
            {
                deltas.Add(new ToolCallStart(0, function));
            }

            if (text.Length > 0)
            {
                deltas.Add(new ToolCallArguments(0, text));
            }
        }
        else if (_parser is not null)
        {
            deltas.AddRange(_parser.Append(text));
            deltas.AddRange(isLast ? _parser.Finish() : []);
        }
        else if (text.Length > 0)
        {
            deltas.Add(new ContentDelta(text));
        }

        if (!form.ParallelCalls)
        {
            deltas.RemoveAll(delta => delta is ToolCallStart { Index: > 0 } or ToolCallArguments { Index: > 0 });
        }

        deltas.ForEach(Keep);
        return deltas;
    }

    /// <summary>The finish reason of the answer whose generation ended so.</summary>
    public string FinishReason(string reason) => reason == "stop" && _calls.Count > 0 ? "tool_calls" : reason;

    private void Keep(AnswerDelta delta)
    {
        switch (delta)
        {
            case ContentDelta content:
                _content.Append(content.Text);
                break;
            case ReasoningDelta reasoning:
                _reasoning.Append(reasoning.Text);
                break;
            case ToolCallStart start:
                _calls.Add((NewId(), start.Name, new StringBuilder()));
                break;
            case ToolCallArguments arguments:
                _calls[arguments.Index].Arguments.Append(arguments.Text);
                break;
        }
    }

    /// <summary>Nine letters and digits: templates of Mistral's models take no other ids back.</summary>
    private static string NewId() => RandomNumberGenerator.GetString("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 9);
}
