using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Node.Pipeline;
using Lamina.Node.Scheduling;

namespace Lamina.Node.Tests.Scheduling;

/// <summary>
/// Stands in for a pipeline's stages: executes steps some time after they were planned, in order, on a cache that holds tokens themselves. A sampled token is a function
/// of the whole history read back through the block tables, so that a block given to the wrong sequence, or too early, shows.
/// </summary>
internal sealed class PipelineModel
{
    public const int Vocabulary = 97;
    public const int StopToken = 96;
    private const int Zero = -1;

    private readonly int[][] _blocks;
    private readonly List<int>[] _tables;
    private readonly int[]?[] _histories;
    private readonly SequenceTable _checks;
    private readonly Queue<Step> _steps = [];

    /// <summary>Copied blocks that nobody holds yet.</summary>
    private readonly HashSet<int> _copied = [];

    /// <param name="sharedPool">Plants a bug: every two blocks lie in the same memory.</param>
    public PipelineModel(StageSettings settings, bool sharedPool = false)
    {
        Settings = settings;
        _blocks = [.. Enumerable.Range(0, settings.KvBlocks).Select(_ => Enumerable.Repeat(Zero, KvCache.BlockPositions).ToArray())];
        for (int block = 1; sharedPool && block < _blocks.Length; block += 2)
        {
            _blocks[block] = _blocks[block - 1];
        }

        _tables = [.. Enumerable.Range(0, settings.MaxSequences).Select(_ => new List<int>())];
        _histories = new int[settings.MaxSequences][];
        _checks = new SequenceTable(settings, Vocabulary);
    }

    public StageSettings Settings { get; }

    public int Steps => _steps.Count;

    public int Copies { get; private set; }

    public int RightGuesses { get; private set; }

    /// <summary>A hash of the whole history; seven times in eight only whether to repeat the token seven back hangs on it, so that guesses are often right.</summary>
    public static int NextToken(ReadOnlySpan<int> history)
    {
        uint hash = 2166136261;
        foreach (int token in history)
        {
            hash = (hash ^ (uint)token) * 16777619;
        }

        return history.Length >= 7 && (hash & 7) != 0 ? history[^7] : (int)((hash >> 8) % Vocabulary);
    }

    /// <summary>What a generation emits when it is alone in the world.</summary>
    public static (int[] Tokens, GenerationOutcome Outcome) Expected(int[] prompt, int maxTokens, int contextLength)
    {
        var tokens = prompt.ToList();
        while (true)
        {
            int next = NextToken(tokens.ToArray());
            if (next == StopToken)
            {
                return (tokens[prompt.Length..].ToArray(), GenerationOutcome.Stop);
            }

            tokens.Add(next);
            if (tokens.Count - prompt.Length >= maxTokens || tokens.Count >= contextLength)
            {
                return (tokens[prompt.Length..].ToArray(), GenerationOutcome.Length);
            }
        }
    }

    public void Enqueue(Step step) => _steps.Enqueue(step);

    /// <summary>Executes the oldest step and returns its number and what it sampled.</summary>
    public (int Number, SampledTokens Sampled) ExecuteOne()
    {
        Step step = _steps.Dequeue();
        Apply(step);
        _checks.CheckRows(step.Batch);
        var sampled = new SampledTokens();
        var logitRows = step.Batch.LogitRows.ToArray().ToHashSet();
        for (int row = 0; row < step.Batch.RowCount; row++)
        {
            int slot = step.Batch.Slots[row];
            int position = step.Batch.Positions[row];
            bool isGuess = row > 0 && step.Batch.Slots[row - 1] == slot && logitRows.Contains(row - 1);
            bool isKnown = position < _histories[slot]!.Length && _histories[slot]![position] == step.Batch.Tokens[row];
            Assert.True(isKnown || isGuess, $"token {step.Batch.Tokens[row]} at position {position} is not the sequence's");
            RightGuesses += isKnown && isGuess ? 1 : 0;
            _blocks[_tables[slot][position / KvCache.BlockPositions]][position % KvCache.BlockPositions] = step.Batch.Tokens[row];
            if (logitRows.Contains(row) && isKnown)
            {
                int[] history = [.. Enumerable.Range(0, position + 1).Select(p => _blocks[_tables[slot][p / KvCache.BlockPositions]][p % KvCache.BlockPositions])];
                Assert.True(history.AsSpan().SequenceEqual(_histories[slot]), $"the history read back is not the sequence's: [{string.Join(", ", history)}], expected [{string.Join(", ", _histories[slot]!)}]");
                int token = NextToken(history);
                _histories[slot] = [.. history, token];
                sampled.Add(slot, token, 0, 0);
            }
        }

        return (step.Number, sampled);
    }

    /// <summary>Blocks that hold something.</summary>
    public int UsedBlocks => _blocks.Count(b => b.Any(t => t != Zero));

    private void Apply(Step step)
    {
        var reader = new OperationReader(step.Operations.Words);
        while (reader.MoveNext())
        {
            switch (reader.Code)
            {
                case OperationCode.Release:
                    _checks.Release(reader.Slot);
                    _tables[reader.Slot].Clear();
                    _histories[reader.Slot] = null;
                    break;
                case OperationCode.Clear:
                    foreach (int block in reader.Blocks)
                    {
                        Assert.DoesNotContain(_tables, t => t.Contains(block));
                        Array.Fill(_blocks[block], Zero);
                    }

                    break;
                case OperationCode.Copy:
                    int destination = reader.Destination;
                    Assert.DoesNotContain(_tables, t => t.Contains(destination));
                    Assert.All(_blocks[destination], t => Assert.Equal(Zero, t));
                    _blocks[reader.Source].CopyTo(_blocks[destination], 0);
                    _copied.Add(destination);
                    Copies++;
                    break;
                case OperationCode.Open:
                    _checks.Open(reader.Slot, reader.Tokens);
                    _histories[reader.Slot] = reader.Tokens.ToArray();
                    break;
                case OperationCode.Append:
                    _checks.Append(reader.Slot, reader.Blocks);
                    foreach (int block in reader.Blocks)
                    {
                        bool shared = _tables.Any(t => t.Contains(block));
                        bool zeroed = _blocks[block].All(t => t == Zero);
                        bool full = _blocks[block].All(t => t != Zero);
                        Assert.True(full || (zeroed && !shared) || _copied.Remove(block), $"block {block} was given out neither zeroed nor as a whole prefix block");
                        _tables[reader.Slot].Add(block);
                    }

                    break;
            }
        }
    }
}
