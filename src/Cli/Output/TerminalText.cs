namespace Lamina.Cli.Output;

/// <summary>Text from a file or another process as one line on a terminal: without control characters, which could move the cursor, colour what follows or pretend a line of ours.</summary>
internal static class TerminalText
{
    public static string Line(string text) => string.Concat(text.ReplaceLineEndings(" ").Where(letter => !char.IsControl(letter)));
}
