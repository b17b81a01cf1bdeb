namespace Lamina.Coordinator.Generations;

/// <summary>
/// How far a generation may run ahead of whoever takes its tokens: by a window, which moves on as tokens are taken. Who takes none thereby pauses the generation where it is
/// computed. Counts emitted tokens in all, so that it holds over any number of submissions. Thread-safe.
/// </summary>
/// <param name="window">Tokens; half of it may be used up before the head hears of it.</param>
/// <param name="taken">Tokens that had been emitted, and taken, before.</param>
public sealed class GenerationFlow(int window, int taken = 0)
{
    private readonly Lock _lock = new();
    private Action<int>? _raised;
    private int _taken = taken;
    private int _allowed = taken + window;

    /// <summary>Tokens that may be emitted in all.</summary>
    public int Allowed
    {
        get
        {
            lock (_lock)
            {
                return _allowed;
            }
        }
    }

    /// <summary>So many more tokens were taken.</summary>
    public void Take(int tokens)
    {
        Action<int>? raised;
        int allowed;
        lock (_lock)
        {
            _taken += tokens;
            if (_taken + window - _allowed < Math.Max(1, window / 2))
            {
                return;
            }

            allowed = _allowed = _taken + window;
            raised = _raised;
        }

        raised?.Invoke(allowed);
    }

    /// <summary>Whoever computes now is told of each change, and at once when there was one since it was told last.</summary>
    /// <param name="told">What it was submitted with.</param>
    internal void Attach(int told, Action<int> raised)
    {
        int allowed;
        lock (_lock)
        {
            _raised = raised;
            allowed = _allowed;
        }

        if (allowed > told)
        {
            raised(allowed);
        }
    }
}
