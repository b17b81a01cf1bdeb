namespace Lamina.Compute.ToolCalls;

/// <summary>How a model writes calls of tools.</summary>
public enum ToolFormat
{
    /// <summary>No calls; reasoning between <c>&lt;think&gt;</c> marks is still told apart.</summary>
    None,

    /// <summary><c>&lt;tool_call&gt;{"name": ..., "arguments": ...}&lt;/tool_call&gt;</c>, of Hermes and Qwen.</summary>
    Hermes,

    /// <summary>The whole answer is <c>{"name": ..., "parameters": ...}</c>, perhaps behind <c>&lt;|python_tag|&gt;</c>.</summary>
    Llama3,

    /// <summary><c>[TOOL_CALLS]</c> and a list of objects, or a name, <c>[ARGS]</c> and the arguments.</summary>
    Mistral,

    /// <summary>A list of objects with <c>tool_name</c> between action marks or behind <c>Action:</c>.</summary>
    CommandR,

    /// <summary>Calls between marks with full-width bars, the arguments perhaps fenced as JSON.</summary>
    DeepSeek,

    /// <summary>Messages on channels: analysis, commentary to a function, final.</summary>
    Harmony,
}

/// <summary>Tells the format from a model's template.</summary>
public static class ToolFormats
{
    private static readonly (string Mark, ToolFormat Format)[] Marks =
    [
        ("<|channel|>", ToolFormat.Harmony), ("<｜tool▁call▁begin｜>", ToolFormat.DeepSeek), ("[TOOL_CALLS]", ToolFormat.Mistral),
        ("<|START_ACTION|>", ToolFormat.CommandR), ("Action:", ToolFormat.CommandR), ("<tool_call>", ToolFormat.Hermes),
        ("<|python_tag|>", ToolFormat.Llama3), ("<|start_header_id|>", ToolFormat.Llama3),
    ];

    /// <summary>Whether a control token's text means something to the parser of a format and must be shown to it.</summary>
    public static bool IsMark(ToolFormat format, string token) =>
        ToolCalls.Marks.Of(format).Any(mark => mark.Text == token) || Inner(format).Contains(token, StringComparer.Ordinal);

    /// <summary>Tokens within what the marks enclose.</summary>
    private static string[] Inner(ToolFormat format) => format switch
    {
        ToolFormat.Mistral => ["[ARGS]", "[CALL_ID]"],
        ToolFormat.DeepSeek => ["<｜tool▁sep｜>"],
        ToolFormat.Harmony => ["<|message|>", "<|constrain|>"],
        _ => [],
    };

    public static ToolFormat Of(string template)
    {
        foreach ((string mark, ToolFormat format) in Marks)
        {
            if (template.Contains(mark, StringComparison.Ordinal))
            {
                return format;
            }
        }

        return ToolFormat.None;
    }
}
