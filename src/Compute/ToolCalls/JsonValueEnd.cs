namespace Lamina.Compute.ToolCalls;

/// <summary>Follows one JSON object or array character by character and tells where it ends. Does not check it.</summary>
internal struct JsonValueEnd
{
    private int _depth;
    private bool _inText;
    private bool _escaped;

    /// <summary>Brackets open after the characters seen.</summary>
    public readonly int Depth => _depth;

    public readonly bool InText => _inText;

    /// <summary>Takes one character; true when it closes the outermost bracket.</summary>
    public bool Take(char c)
    {
        if (_inText)
        {
            _inText = _escaped || c != '"';
            _escaped = !_escaped && c == '\\';
            return false;
        }

        switch (c)
        {
            case '"':
                _inText = true;
                return false;
            case '{' or '[':
                _depth++;
                return false;
            case '}' or ']':
                return --_depth <= 0;
            default:
                return false;
        }
    }
}
