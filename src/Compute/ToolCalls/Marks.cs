namespace Lamina.Compute.ToolCalls;

/// <summary>What the parser is in the middle of.</summary>
internal enum Mode
{
    Content,
    Reasoning,

    /// <summary>Objects that are calls, alone or in a list.</summary>
    Calls,

    /// <summary>A name, then the arguments as one object.</summary>
    NamedCall,

    /// <summary>The line that says which channel a message is on.</summary>
    Header,

    /// <summary>Text that belongs to nobody.</summary>
    Skip,
}

/// <summary>A text that ends what the parser is in and begins something else.</summary>
internal readonly record struct Mark(Mode From, string Text, Mode To);

/// <summary>The marks of each format.</summary>
internal static class Marks
{
    private static readonly Mark[] Think = [new(Mode.Content, "<think>", Mode.Reasoning), new(Mode.Reasoning, "</think>", Mode.Content)];

    public static Mark[] Of(ToolFormat format) => format switch
    {
        ToolFormat.Hermes => [.. Think, new(Mode.Content, "<tool_call>", Mode.Calls), new(Mode.Calls, "</tool_call>", Mode.Content)],
        ToolFormat.Llama3 => [.. Think, new(Mode.Content, "<|python_tag|>", Mode.Calls), new(Mode.Calls, "<|eom_id|>", Mode.Content)],
        ToolFormat.Mistral =>
        [
            new(Mode.Content, "[THINK]", Mode.Reasoning), new(Mode.Reasoning, "[/THINK]", Mode.Content), .. Think,
            new(Mode.Content, "[TOOL_CALLS]", Mode.NamedCall), new(Mode.NamedCall, "[TOOL_CALLS]", Mode.NamedCall),
        ],
        ToolFormat.CommandR =>
        [
            new(Mode.Content, "<|START_THINKING|>", Mode.Reasoning), new(Mode.Reasoning, "<|END_THINKING|>", Mode.Content),
            new(Mode.Content, "<|START_RESPONSE|>", Mode.Content), new(Mode.Content, "<|END_RESPONSE|>", Mode.Content),
            new(Mode.Content, "<|START_ACTION|>", Mode.Calls), new(Mode.Calls, "<|END_ACTION|>", Mode.Content),
            new(Mode.Content, "Action: ```json", Mode.Calls), new(Mode.Content, "Action:\n```json", Mode.Calls), new(Mode.Calls, "```", Mode.Content),
        ],
        ToolFormat.DeepSeek =>
        [
            .. Think, new(Mode.Content, "<｜tool▁calls▁begin｜>", Mode.Skip), new(Mode.Content, "<｜tool▁call▁begin｜>", Mode.NamedCall),
            new(Mode.Skip, "<｜tool▁call▁begin｜>", Mode.NamedCall), new(Mode.NamedCall, "<｜tool▁call▁end｜>", Mode.Skip), new(Mode.Skip, "<｜tool▁calls▁end｜>", Mode.Content),
        ],
        ToolFormat.Harmony =>
        [
            new(Mode.Content, "<|channel|>", Mode.Header), new(Mode.Content, "<|start|>", Mode.Skip), new(Mode.Content, "<|end|>", Mode.Skip),
            new(Mode.Content, "<|return|>", Mode.Skip), new(Mode.Reasoning, "<|end|>", Mode.Skip), new(Mode.Reasoning, "<|start|>", Mode.Skip),
            new(Mode.Skip, "<|channel|>", Mode.Header), new(Mode.NamedCall, "<|call|>", Mode.Skip), new(Mode.NamedCall, "<|end|>", Mode.Skip),
        ],
        _ => Think,
    };

    /// <summary>The earliest mark of a mode in a text, the longer among those at one place; −1 where there is none.</summary>
    public static int Find(ReadOnlySpan<Mark> marks, Mode mode, string text, out Mark found)
    {
        int earliest = -1;
        found = default;
        foreach (Mark mark in marks)
        {
            int at = mark.From == mode ? text.IndexOf(mark.Text, StringComparison.Ordinal) : -1;
            if (at >= 0 && (earliest < 0 || at < earliest || (at == earliest && mark.Text.Length > found.Text.Length)))
            {
                (earliest, found) = (at, mark);
            }
        }

        return earliest;
    }

    /// <summary>How many characters at the end of a text may be the beginning of a mark.</summary>
    public static int Held(ReadOnlySpan<Mark> marks, Mode mode, string text)
    {
        int longest = 0;
        foreach (Mark mark in marks)
        {
            for (int length = Math.Min(mark.Text.Length - 1, text.Length); mark.From == mode && length > longest; length--)
            {
                if (text.AsSpan().EndsWith(mark.Text.AsSpan(0, length)))
                {
                    longest = length;
                }
            }
        }

        return longest;
    }
}
