using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CsCheck;
using Lamina.Node.Pipeline;
using Lamina.TestSupport;

namespace Lamina.Node.Tests.Pipeline;

public class StepFrameTests
{
    private const int MaxRows = 16;
    private const int Width = 8;

    private static readonly Gen<(int Token, int Position, int Slot, bool Logits)[]> s_rows =
        Gen.Select(Gen.Int, Gen.Int, Gen.Int, Gen.Bool).Array[0, MaxRows];

    private static readonly Gen<int[][]> s_operations = Gen.Int[1, 5].SelectMany(code => code switch
    {
        1 => Gen.Int[0, 99].Array[1].Select(a => (int[])[code, .. a]),
        3 => Gen.Int[0, 99].Array[2].Select(a => (int[])[code, .. a]),
        _ => Gen.Int[0, 99].Array[1, 9].Select(a => (int[])[code, .. a]),
    }).Array[0, 6];

    [Fact]
    public void Step_WrittenAndRead_IsTheSame() => Gen.Select(s_rows, s_operations).Sample((rows, operations) =>
    {
        Step step = Fill(rows, operations);
        byte[] payload = Encode(step);
        var read = new Step(MaxRows);
        int prologue = StepFrame.Read(payload, 7, Width, read);
        Assert.Equal(0, prologue % StepFrame.Alignment);
        Assert.Equal(7, read.Number);
        Assert.Equal(step.Operations.Words, read.Operations.Words);
        Assert.Equal(step.Batch.Tokens, read.Batch.Tokens);
        Assert.Equal(step.Batch.Positions, read.Batch.Positions);
        Assert.Equal(step.Batch.Slots, read.Batch.Slots);
        Assert.Equal(step.Batch.LogitRows, read.Batch.LogitRows);
        Assert.Equal(rows.Length * Width * sizeof(float), payload.Length - prologue);
    }, iter: 2000);

    [Trait("Attack", "B1")]
    [Fact]
    public void Step_TruncatedAtAnyByte_IsRefused()
    {
        byte[] payload = Encode(Fill([(1, 2, 3, true), (4, 5, 3, false)], [[2, 7, 8, 9], [1, 3]]));
        for (int length = 0; length < payload.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => StepFrame.Read(payload.AsSpan(0, length), 1, Width, new Step(MaxRows)));
        }
    }

    [Trait("Attack", "B1")]
    [Theory]
    [InlineData(0, 0x7FFFFFFFu), InlineData(0, 0xFFFFFFFFu), InlineData(4, 0xFFFFFFFFu), InlineData(4, 17u), InlineData(8, 9u), InlineData(8, 0u), InlineData(12, 1u)]
    public void Step_WithALyingHeader_IsRefused(int offset, uint value)
    {
        byte[] payload = Encode(Fill([(1, 2, 3, true)], [[1, 3]]));
        BinaryPrimitives.WriteUInt32LittleEndian(payload.AsSpan(offset), value);
        Assert.Throws<InvalidDataException>(() => StepFrame.Read(payload, 1, Width, new Step(MaxRows)));
    }

    [Trait("Attack", "B1")]
    [Fact]
    public void Bytes_OfAnyKind_AreReadOrRefusedButNeverCrash() => Gen.Byte.Array[0, 400].Sample(bytes =>
    {
        // A sound header in front of noise reaches deeper than noise alone.
        if (bytes.Length >= 16)
        {
            uint rows = bytes[4] % 4u;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, bytes[0] % 20u);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), rows);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Width);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), 0);
        }

        var step = new Step(MaxRows);
        try
        {
            StepFrame.Read(bytes, 1, Width, step);
            var reader = new OperationReader(step.Operations.Words);
            while (reader.MoveNext())
            {
            }
        }
        catch (InvalidDataException)
        {
        }
    }, iter: AttackScale.Cases(20_000, 1_000_000));

    [Theory]
    [InlineData(0, 1), InlineData(6, 1), InlineData(1), InlineData(2, 3, 1, 2), InlineData(2, -1), InlineData(2, int.MaxValue), InlineData(4, 0, int.MaxValue, int.MaxValue), InlineData(4, 0, 1, -1, 5)]
    [InlineData(4, 0, 1, int.MinValue, 5), InlineData(5, 0, 2, 1), InlineData(3, 1)]
    public void Operations_ThatDoNotFit_AreRefused(params int[] words) => Assert.Throws<InvalidDataException>(() =>
    {
        var reader = new OperationReader(words);
        while (reader.MoveNext())
        {
        }
    });

    [Fact]
    public void Operations_WrittenAndRead_AreTheSame()
    {
        var buffer = new OperationBuffer();
        buffer.Release(3);
        buffer.ClearBlocks([7, 8]);
        buffer.CopyBlock(1, 2);
        buffer.Open(4, [10, 11, 12], [1, 2, 3, 4, 5]);
        buffer.Append(4, [9]);

        var reader = new OperationReader(buffer.Words);
        Assert.True(reader.MoveNext());
        Assert.Equal((OperationCode.Release, 3), (reader.Code, reader.Slot));
        Assert.True(reader.MoveNext());
        Assert.Equal(OperationCode.Clear, reader.Code);
        Assert.Equal([7, 8], reader.Blocks);
        Assert.True(reader.MoveNext());
        Assert.Equal((OperationCode.Copy, 1, 2), (reader.Code, reader.Source, reader.Destination));
        Assert.True(reader.MoveNext());
        Assert.Equal((OperationCode.Open, 4), (reader.Code, reader.Slot));
        Assert.Equal([10, 11, 12], reader.Tokens);
        Assert.Equal([1, 2, 3, 4, 5], reader.Settings.ToArray());
        Assert.True(reader.MoveNext());
        Assert.Equal((OperationCode.Append, 4), (reader.Code, reader.Slot));
        Assert.Equal([9], reader.Blocks);
        Assert.False(reader.MoveNext());
    }

    private static Step Fill((int Token, int Position, int Slot, bool Logits)[] rows, int[][] operations)
    {
        var step = new Step(MaxRows) { Number = 7 };
        step.Operations.Load(operations.SelectMany(o => o).ToArray());
        foreach ((int token, int position, int slot, bool logits) in rows)
        {
            step.Batch.Add(token, position, slot, logits);
        }

        return step;
    }

    private static byte[] Encode(Step step)
    {
        byte[] buffer = new byte[1];
        int length = StepFrame.WritePrologue(step, Width, ref buffer);
        return [.. buffer.AsSpan(0, length), .. MemoryMarshal.AsBytes(new float[step.Batch.RowCount * Width].AsSpan())];
    }
}
