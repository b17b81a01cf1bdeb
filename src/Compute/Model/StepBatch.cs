namespace Lamina.Compute.Model;

/// <summary>
/// The rows of one forward step: prefill chunks and decode tokens of several sequences side by side. Allocated once and refilled.
/// Rows of one sequence stand together, in rising positions. The key/value blocks they write must have been assigned to their
/// slot before (<see cref="KvCache"/>).
/// </summary>
public sealed class StepBatch(int maxRows)
{
    public int MaxRows { get; } = maxRows;
    public int RowCount { get; private set; }
    public int LogitRowCount { get; private set; }
    public int EmbeddingRowCount { get; private set; }

    private readonly int[] _tokens = UnmovedArray.New<int>(maxRows);
    private readonly int[] _positions = new int[maxRows];
    private readonly int[] _slots = new int[maxRows];
    private readonly int[] _logitRows = new int[maxRows];
    private readonly int[] _embeddingRows = new int[maxRows];

    /// <summary>Token id of each row.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, RowCount);

    /// <summary>Absolute position in its sequence of each row.</summary>
    public ReadOnlySpan<int> Positions => _positions.AsSpan(0, RowCount);

    /// <summary>Sequence slot of each row: the index into the stage's block tables.</summary>
    public ReadOnlySpan<int> Slots => _slots.AsSpan(0, RowCount);

    /// <summary>Rows whose logits the tail computes, rising.</summary>
    public ReadOnlySpan<int> LogitRows => _logitRows.AsSpan(0, LogitRowCount);

    /// <summary>Rows that the tail pools into the embedding of a text, rising; none of them is a logit row.</summary>
    public ReadOnlySpan<int> EmbeddingRows => _embeddingRows.AsSpan(0, EmbeddingRowCount);

    /// <summary>Forgets the rows and overwrites their tokens.</summary>
    public void Clear()
    {
        Array.Clear(_tokens, 0, RowCount);
        RowCount = 0;
        LogitRowCount = 0;
        EmbeddingRowCount = 0;
    }

    public void Add(int token, int position, int slot, bool wantsLogits, bool wantsEmbedding = false)
    {
        if (RowCount == MaxRows)
        {
            throw new InvalidOperationException($"a step holds at most {MaxRows} rows");
        }

        if (wantsLogits)
        {
            _logitRows[LogitRowCount++] = RowCount;
        }
        else if (wantsEmbedding)
        {
            _embeddingRows[EmbeddingRowCount++] = RowCount;
        }

        _tokens[RowCount] = token;
        _positions[RowCount] = position;
        _slots[RowCount++] = slot;
    }
}
