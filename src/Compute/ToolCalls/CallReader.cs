using System.Text;
using System.Text.Json;

namespace Lamina.Compute.ToolCalls;

/// <summary>
/// Reads one object such as <c>{"name": "f", "arguments": {...}}</c> as it streams: the call begins once its name is known, and the text of its arguments is
/// passed on as it comes. An object without a name is no call; its text is given back.
/// </summary>
internal sealed class CallReader(int index)
{
    private const int MaxText = 1 << 20;

    private readonly StringBuilder _raw = new();
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _text = new();
    private JsonValueEnd _end;
    private string? _key;
    private bool _isKey = true;
    private bool _inArguments;
    private bool _argumentsBegun;
    private bool _started;
    private string? _name;

    public bool IsDone { get; private set; }

    public bool IsCall => _started;

    /// <summary>The object's text, for when it is no call.</summary>
    public string Raw => _raw.ToString();

    public void Take(char c, List<AnswerDelta> deltas)
    {
        if (_raw.Length < MaxText)
        {
            _raw.Append(c);
        }

        bool wasText = _end.InText;
        int before = _end.Depth;
        bool closed = _end.Take(c);
        if (_inArguments)
        {
            bool endsValue = closed || (before == 1 && !wasText && c == ',');
            if (!endsValue)
            {
                PassOn(c, deltas);
            }

            _inArguments = !endsValue;
        }
        else if (before == 1)
        {
            TakeMember(c, wasText);
        }

        if (before == 1 && !wasText && c == ',')
        {
            _isKey = true;
        }

        if (_name is not null && !_started)
        {
            _started = true;
            deltas.Add(new ToolCallStart(index, _name));
            Flush(deltas);
        }

        IsDone = closed;
    }

    /// <summary>Passes on arguments that are held back; trailing blanks are dropped.</summary>
    public void Flush(List<AnswerDelta> deltas)
    {
        string text = _held.ToString().TrimEnd();
        if (_started && text.Length > 0)
        {
            deltas.Add(new ToolCallArguments(index, text));
            _held.Remove(0, text.Length);
        }
    }

    private void TakeMember(char c, bool wasText)
    {
        if (_end.InText || wasText)
        {
            if (_text.Length < MaxText)
            {
                _text.Append(c);
            }

            if (!_end.InText)
            {
                TakeText(Unquote(_text.ToString()));
                _text.Clear();
            }
        }
        else if (c == ':')
        {
            _isKey = false;
            _inArguments = _key is "arguments" or "parameters";
        }
    }

    private void TakeText(string text)
    {
        if (_isKey)
        {
            _key = text;
        }
        else if (_key is "name" or "tool_name" && _name is null)
        {
            _name = text;
        }
    }

    private void PassOn(char c, List<AnswerDelta> deltas)
    {
        _argumentsBegun |= !char.IsWhiteSpace(c);
        if (_argumentsBegun)
        {
            _held.Append(c);
        }

        if (_held.Length > MaxText)
        {
            Flush(deltas);
        }
    }

    private static string Unquote(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<string>(text) ?? "";
        }
        catch (JsonException)
        {
            return text.Trim('"');
        }
    }
}
