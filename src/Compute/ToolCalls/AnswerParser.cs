using System.Text;

namespace Lamina.Compute.ToolCalls;

/// <summary>
/// Divides the text of an answer, as it streams, into content, reasoning and calls of tools. Whatever does not follow the format is content. One per answer;
/// the text must show control tokens where the format uses them.
/// </summary>
public sealed class AnswerParser
{
    /// <summary>Longest text between a mark and what it announces; beyond that it was no mark.</summary>
    private const int LongestHeader = 4096;

    private const string HeaderEnd = "<|message|>";

    private readonly ToolFormat _format;
    private readonly Mark[] _marks;
    private readonly StringBuilder _name = new();
    private string _text = "";
    private Mode _mode;
    private CallReader? _call;
    private JsonValueEnd _arguments;
    private bool _inArguments;
    private bool _isStart = true;
    private bool _trimNext;
    private int _calls;

    /// <param name="startsInReasoning">Whether the prompt ended in the mark that opens the reasoning.</param>
    public AnswerParser(ToolFormat format, bool startsInReasoning = false)
    {
        _format = format;
        _marks = Marks.Of(format);
        _mode = startsInReasoning ? Mode.Reasoning : Mode.Content;
    }

    /// <summary>How many calls have begun.</summary>
    public int CallCount => _calls;

    public IReadOnlyList<AnswerDelta> Append(string text)
    {
        List<AnswerDelta> deltas = [];
        _text += text;
        while (Step(deltas, isEnd: false))
        {
        }

        _call?.Flush(deltas);
        return Joined(deltas);
    }

    /// <summary>What was held back when the answer ends.</summary>
    public IReadOnlyList<AnswerDelta> Finish()
    {
        List<AnswerDelta> deltas = [];
        while (Step(deltas, isEnd: true))
        {
        }

        if (_call is { IsCall: false } unfinished)
        {
            deltas.Add(new ContentDelta(unfinished.Raw));
        }

        _call = null;
        return Joined(deltas);
    }

    /// <summary>Takes the next piece of the text; false when more is needed.</summary>
    private bool Step(List<AnswerDelta> deltas, bool isEnd)
    {
        if (_text.Length == 0)
        {
            return false;
        }

        return _mode switch
        {
            Mode.Header => StepHeader(),
            Mode.Calls when _call is not null => StepCall(deltas),
            Mode.Calls => StepBetweenCalls(isEnd),
            Mode.NamedCall => StepNamedCall(deltas, isEnd),
            _ => StepText(deltas, isEnd),
        };
    }

    private bool StepText(List<AnswerDelta> deltas, bool isEnd)
    {
        if (_isStart && _format == ToolFormat.Llama3 && _mode == Mode.Content)
        {
            string trimmed = _text.TrimStart();
            if (trimmed.Length == 0 && !isEnd)
            {
                return false;
            }

            _isStart = false;
            if (trimmed.StartsWith('{'))
            {
                (_mode, _text) = (Mode.Calls, trimmed);
                return true;
            }
        }

        int at = Marks.Find(_marks, _mode, _text, out Mark mark);
        int length = at >= 0 ? at : _text.Length - (isEnd ? 0 : Marks.Held(_marks, _mode, _text));
        Emit(deltas, _text[..length]);
        _text = _text[length..];
        if (at < 0)
        {
            return false;
        }

        Enter(mark);
        return true;
    }

    private void Enter(Mark mark)
    {
        _text = _text[mark.Text.Length..];
        _trimNext = mark.From is Mode.Reasoning or Mode.Calls || mark.To == Mode.Reasoning;
        _mode = mark.To;
        _name.Clear();
        _inArguments = false;
        _arguments = default;
    }

    private void Emit(List<AnswerDelta> deltas, string text)
    {
        if (_trimNext)
        {
            text = text.TrimStart('\n', '\r', ' ');
            _trimNext = text.Length == 0;
        }

        if (text.Length > 0 && _mode != Mode.Skip)
        {
            deltas.Add(_mode == Mode.Reasoning ? new ReasoningDelta(text) : new ContentDelta(text));
        }
    }

    /// <summary>Between the objects of a list stand brackets, commas, semicolons and blanks, then the end of the calls.</summary>
    private bool StepBetweenCalls(bool isEnd)
    {
        string rest = _text.TrimStart('[', ']', ',', ';', ' ', '\n', '\r', '\t');
        if (rest.StartsWith('{'))
        {
            _text = rest;
            _call = new CallReader(_calls);
            return true;
        }

        int at = Marks.Find(_marks, Mode.Calls, rest, out Mark mark);
        if (at == 0)
        {
            _text = rest;
            Enter(mark);
            return true;
        }

        if (rest.Length == 0 || (!isEnd && Marks.Held(_marks, Mode.Calls, rest) == rest.Length))
        {
            _text = rest;
            return false;
        }

        // no call where one was announced: it is shown
        _text = rest;
        _mode = Mode.Content;
        return true;
    }

    private bool StepCall(List<AnswerDelta> deltas)
    {
        int taken = 0;
        while (taken < _text.Length && !_call!.IsDone)
        {
            _call.Take(_text[taken++], deltas);
        }

        _text = _text[taken..];
        if (!_call!.IsDone)
        {
            return false;
        }

        _call.Flush(deltas);
        if (_call.IsCall)
        {
            _calls++;
        }
        else
        {
            deltas.Add(new ContentDelta(_call.Raw));
        }

        _call = null;
        return true;
    }

    private bool StepNamedCall(List<AnswerDelta> deltas, bool isEnd)
    {
        if (_inArguments)
        {
            return StepArguments(deltas);
        }

        int brace = _text.IndexOf('{');
        int at = Marks.Find(_marks, Mode.NamedCall, _text, out Mark mark);
        if (at >= 0 && (brace < 0 || at < brace))
        {
            _text = _text[at..];
            Enter(mark);
            return true;
        }

        if (brace < 0)
        {
            if (isEnd || _text.Length > LongestHeader)
            {
                _mode = Mode.Content;
                return true;
            }

            return false;
        }

        string header = _name + _text[..brace];
        if (header.Trim().Trim('[').Length == 0)
        {
            // a list of objects with names, after the mark that may also stand before a bare name
            _mode = Mode.Calls;
            return true;
        }

        _text = _text[brace..];
        deltas.Add(new ToolCallStart(_calls, NameIn(header)));
        (_inArguments, _arguments) = (true, default);
        return true;
    }

    private bool StepArguments(List<AnswerDelta> deltas)
    {
        int taken = 0;
        bool closed = false;
        while (taken < _text.Length && !closed)
        {
            closed = _arguments.Take(_text[taken++]);
        }

        deltas.Add(new ToolCallArguments(_calls, _text[..taken]));
        _text = _text[taken..];
        if (closed)
        {
            _calls++;
            _inArguments = false;
            _name.Clear();
        }

        return closed;
    }

    /// <summary>A header names the channel and perhaps the function: <c>commentary to=functions.f &lt;|constrain|&gt;json</c>.</summary>
    private bool StepHeader()
    {
        int end = _text.IndexOf(HeaderEnd, StringComparison.Ordinal);
        if (end < 0)
        {
            _mode = _text.Length > LongestHeader ? Mode.Content : _mode;
            return _mode == Mode.Content;
        }

        string header = _text[..end];
        _text = _text[(end + HeaderEnd.Length)..];
        int to = header.IndexOf("to=functions.", StringComparison.Ordinal);
        if (to >= 0)
        {
            _mode = Mode.NamedCall;
            _name.Append(header.AsSpan(to + "to=functions.".Length)).Append(' ');
        }
        else
        {
            _mode = header.TrimStart().StartsWith("analysis", StringComparison.Ordinal) ? Mode.Reasoning : Mode.Content;
        }

        return true;
    }

    /// <summary>The function's name among the marks that stand with it.</summary>
    private static string NameIn(string header)
    {
        int separator = header.IndexOf("<｜tool▁sep｜>", StringComparison.Ordinal);
        if (separator >= 0 && header[(separator + "<｜tool▁sep｜>".Length)..].Trim() is { Length: > 0 } behind)
        {
            header = behind;
        }

        int end = header.AsSpan().IndexOfAny("\n`[<");
        string name = (end > 0 ? header[..end] : header).Trim();
        int space = name.IndexOf(' ');
        return space > 0 ? name[..space] : name;
    }

    /// <summary>Neighbouring deltas of one kind as one.</summary>
    private static List<AnswerDelta> Joined(List<AnswerDelta> deltas)
    {
        List<AnswerDelta> joined = [];
        foreach (AnswerDelta delta in deltas)
        {
            AnswerDelta? both = (joined.LastOrDefault(), delta) switch
            {
                (ContentDelta a, ContentDelta b) => new ContentDelta(a.Text + b.Text),
                (ReasoningDelta a, ReasoningDelta b) => new ReasoningDelta(a.Text + b.Text),
                (ToolCallArguments a, ToolCallArguments b) when a.Index == b.Index => new ToolCallArguments(a.Index, a.Text + b.Text),
                _ => null,
            };
            if (both is not null)
            {
                joined[^1] = both;
            }
            else
            {
                joined.Add(delta);
            }
        }

        return joined;
    }
}
