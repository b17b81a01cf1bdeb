namespace Lamina.Compute.Grammar;

/// <summary>
/// Matches text byte by byte. A state is a set of stacks (positions still to be matched, innermost first); equal states are one number, and transitions are
/// remembered, so that the states met often run as a plain table. Not thread-safe.
/// </summary>
internal sealed class GrammarAutomaton
{
    /// <summary>The state from which nothing matches.</summary>
    public const int Dead = 0;

    private const int NoStack = -1;
    private const int Unknown = -1;

    private readonly GrammarCode _code;
    private readonly Dictionary<(int Position, int Parent), int> _stackIds = [];
    private readonly List<(int Position, int Parent, int Depth)> _stacks = [];
    private readonly Dictionary<int[], int> _stateIds = new(SetComparer.Instance);
    private readonly List<int[]> _states = [];

    /// <summary>[states × classes of bytes]: the next state, or that it is not known yet.</summary>
    private int[] _table = [];
    private readonly SortedSet<int> _building = [];
    private readonly HashSet<(int, int)> _visited = [];
    private readonly Stack<(int Position, int Parent)> _open = [];
    private readonly byte[] _byteOfClass;

    public GrammarAutomaton(GrammarCode code)
    {
        _code = code;
        _byteOfClass = new byte[code.Classes];
        for (int value = 255; value >= 0; value--)
        {
            _byteOfClass[code.ClassOfByte[value]] = (byte)value;
        }

        Reset();
    }

    public int Start { get; private set; }

    /// <summary>How much has been remembered; stacks are smaller than states.</summary>
    public int StateCount => _states.Count + _stacks.Count / 16;

    /// <summary>Positions looked at so far, a measure of time.</summary>
    public long Work { get; private set; }

    /// <summary>Forgets all states but the start and one, whose new number it returns.</summary>
    public int Forget(int state)
    {
        int[][] kept = [.. _states[state].Select(PositionsOf)];
        Reset();
        return StateOf([.. kept.Select(positions => positions.Aggregate(NoStack, (parent, position) => StackOf(position, parent))).Order()]);
    }

    private void Reset()
    {
        _stackIds.Clear();
        _stacks.Clear();
        _stateIds.Clear();
        _states.Clear();
        StateOf([]);
        foreach (int alternative in _code.Alternatives[_code.Root])
        {
            _open.Push((alternative, NoStack));
        }

        Start = Close();
    }

    /// <summary>The positions of a stack, outermost first.</summary>
    private int[] PositionsOf(int stack)
    {
        Stack<int> positions = [];
        for (; stack != NoStack; stack = _stacks[stack].Parent)
        {
            positions.Push(_stacks[stack].Position);
        }

        return [.. positions];
    }

    /// <summary>Whether the text so far is complete.</summary>
    public bool IsAccepting(int state) => _states[state] is [NoStack, ..];

    /// <summary>Whether more text may follow.</summary>
    public bool CanContinue(int state) => _states[state] is [not NoStack, ..] or [_, _, ..];

    /// <summary>[states × <see cref="Classes"/>], negative where <see cref="Next"/> must be asked; replaced by a larger one as states are found.</summary>
    public ReadOnlySpan<int> Table => _table;

    public int Classes => _code.Classes;

    public ReadOnlySpan<byte> ClassOfByte => _code.ClassOfByte;

    public int Next(int state, byte value)
    {
        int column = _code.ClassOfByte[value], at = (state * _code.Classes) + column;
        if (_table[at] == Unknown)
        {
            int next = Step(state, _byteOfClass[column]);
            _table[at] = next;
        }

        return _table[at];
    }

    private int Step(int state, byte value)
    {
        foreach (int stack in _states[state])
        {
            if (stack == NoStack)
            {
                continue;
            }

            (int position, int parent, _) = _stacks[stack];
            if (_code.Sets[_code.Elements[position]].Contains(value))
            {
                _open.Push((position + 1, parent));
            }
        }

        return Close();
    }

    /// <summary>The state of the open positions, each followed through calls and ends up to the bytes that may come next.</summary>
    private int Close()
    {
        _building.Clear();
        _visited.Clear();
        while (_open.TryPop(out (int Position, int Parent) top))
        {
            if (!_visited.Add(top))
            {
                continue;
            }

            int element = _code.Elements[top.Position];
            if (element >= 0 && element != GrammarCode.End)
            {
                _building.Add(StackOf(top.Position, top.Parent));
            }
            else if (element < 0)
            {
                Call(~element, top.Position + 1, top.Parent);
            }
            else if (top.Parent == NoStack)
            {
                _building.Add(NoStack);
            }
            else
            {
                _open.Push((_stacks[top.Parent].Position, _stacks[top.Parent].Parent));
            }

            if (_visited.Count > GrammarLimits.Stacks)
            {
                _open.Clear();
                throw new GrammarException($"the grammar is too ambiguous: more than {GrammarLimits.Stacks} ways to match side by side");
            }
        }

        Work += _visited.Count;
        return StateOf([.. _building]);
    }

    private void Call(int rule, int returnTo, int parent)
    {
        // nothing to come back for: the rule takes the place of its caller
        int below = _code.Elements[returnTo] == GrammarCode.End ? parent : StackOf(returnTo, parent);
        if (below != NoStack && _stacks[below].Depth > GrammarLimits.StackDepth)
        {
            return;
        }

        foreach (int alternative in _code.Alternatives[rule])
        {
            _open.Push((alternative, below));
        }
    }

    private int StackOf(int position, int parent)
    {
        if (!_stackIds.TryGetValue((position, parent), out int id))
        {
            id = _stacks.Count;
            _stacks.Add((position, parent, parent == NoStack ? 1 : _stacks[parent].Depth + 1));
            _stackIds[(position, parent)] = id;
        }

        return id;
    }

    private int StateOf(int[] stacks)
    {
        if (!_stateIds.TryGetValue(stacks, out int id))
        {
            id = _states.Count;
            _states.Add(stacks);
            int end = _states.Count * _code.Classes;
            if (end > _table.Length)
            {
                Array.Resize(ref _table, Math.Max(end, 2 * _table.Length));
            }

            _table.AsSpan(end - _code.Classes, _code.Classes).Fill(stacks.Length == 0 ? Dead : Unknown);
            _stateIds[stacks] = id;
        }

        return id;
    }

    private sealed class SetComparer : IEqualityComparer<int[]>
    {
        public static readonly SetComparer Instance = new();

        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] set)
        {
            HashCode hash = default;
            hash.AddBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(set.AsSpan()));
            return hash.ToHashCode();
        }
    }
}
