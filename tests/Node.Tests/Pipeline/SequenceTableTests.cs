using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Tests.Pipeline;

/// <summary>What a stage refuses of a step that fits its frame but not the plan: 4 slots, 8 blocks, a context of 64, 100 tokens.</summary>
public class SequenceTableTests
{
    private readonly SequenceTable _table = new(new StageSettings(64, 8, 4, 16, 16, 1, 1), 100);

    [Fact]
    public void Open_OutsideThePlan_IsRefused()
    {
        _table.Open(1, [5]);
        Refuses("slot 4, the plan has 4", () => _table.Open(4, [5]));
        Refuses("slot -1, the plan has 4", () => _table.Open(-1, [5]));
        Refuses("slot 1 is open already", () => _table.Open(1, [5]));
        Refuses("token 100, the vocabulary has 100", () => _table.Open(2, [5, 100]));
        Refuses("sequence of 0 tokens, the plan allows 1 to 64", () => _table.Open(2, []));
        Refuses("sequence of 65 tokens, the plan allows 1 to 64", () => _table.Open(2, new int[65]));
    }

    [Trait("Attack", "B1")]
    [Fact]
    public void Blocks_OutsideThePlan_AreRefused()
    {
        _table.Open(0, [5]);
        Refuses("block 8, the plan has 8", () => _table.Append(0, [0, 8]));
        Refuses("block -1, the plan has 8", () => _table.CheckBlock(-1));
        Refuses("slot 2 is not open", () => _table.Append(2, [0]));
        Refuses("slot 0 was given 3 blocks, more than the context of 64 positions needs", () => _table.Append(0, [1, 2, 3]));
        Refuses("slot 3 is not open", () => _table.Release(3));
    }

    [Trait("Attack", "B1")]
    [Fact]
    public void Rows_OutsideTheirBlocks_AreRefused()
    {
        _table.Open(0, [5]);
        _table.Append(0, [3]);
        _table.CheckRows(Rows((5, 30, 0), (6, 31, 0)));
        Refuses("row at position 32 of slot 0", () => _table.CheckRows(Rows((5, 32, 0))));
        Refuses("row at position -1 of slot 0", () => _table.CheckRows(Rows((5, -1, 0))));
        Refuses("slot 1 is not open", () => _table.CheckRows(Rows((5, 0, 1))));
        Refuses("token 100", () => _table.CheckRows(Rows((100, 0, 0))));
        Refuses("position 7 follows 5", () => _table.CheckRows(Rows((1, 5, 0), (1, 7, 0))));
    }

    private static StepBatch Rows(params (int Token, int Position, int Slot)[] rows)
    {
        var batch = new StepBatch(16);
        foreach ((int token, int position, int slot) in rows)
        {
            batch.Add(token, position, slot, false);
        }

        return batch;
    }

    private static void Refuses(string sentence, Action action) =>
        Assert.Contains(sentence, Assert.Throws<InvalidDataException>(action).Message, StringComparison.Ordinal);
}
