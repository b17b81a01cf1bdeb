using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed class StageTests
{
    private static readonly StageOptions Options = new() { ContextLength = 64, KvBlocks = 2, MaxBatchRows = 16, MaxSequences = 2, Threads = 2 };

    [Fact]
    public void Forward_DecodingAfterWarmUp_AllocatesNothing()
    {
        using var model = new RandomModel(RandomModel.Llama(3).Set("llama.expert_count", 4).Set("llama.expert_used_count", 2).Build(), _ => GgmlType.Q8_0);
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 3), Options);
        stage.Cache.Append(0, [0, 1]);
        var batch = new StepBatch(1);
        for (int position = 0; position < 40; position++)
        {
            batch.Clear();
            batch.Add(position, position, 0, true);
            long before = GC.GetAllocatedBytesForCurrentThread();
            stage.Forward(batch, [], []);
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(position < 8 || allocated == 0, $"{allocated} bytes allocated at position {position}");
        }
    }

    [Fact]
    public void RequiredBytes_BeforeLoading_IsWhatTheStageHolds()
    {
        using var model = new RandomModel(RandomModel.Llama(4).Build(), _ => GgmlType.Q4_0);
        foreach (LayerRange layers in new[] { new LayerRange(0, 4), new LayerRange(0, 2), new LayerRange(2, 4), new LayerRange(1, 3) })
        {
            using Stage stage = Stage.Load(model.File, model.Shape, layers, Options);
            long required = Stage.RequiredBytes(model.File, model.Shape, layers, Options);
            Assert.InRange(required, stage.MemoryBytes, stage.MemoryBytes + 8192);
        }
    }

    [Theory]
    [InlineData(GgmlType.Q8_0, 0.02)]
    [InlineData(GgmlType.Q4_0, 0.3)]
    public void Forward_WithANarrowCache_StaysNearTheWideOne(GgmlType type, double bound)
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.F32);
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 7 % 48)];
        StageOptions options = Options with { MaxBatchRows = 40, MaxSequences = 1 };
        using var wide = new Sequence(model.File, model.Shape, options);
        using var narrow = new Sequence(model.File, model.Shape, options with { KvType = type });
        float[] expected = wide.Feed(tokens).ToArray(), found = narrow.Feed(tokens).ToArray();
        double difference = Math.Sqrt(expected.Zip(found, (a, b) => Math.Pow(a - b, 2)).Average());
        Assert.InRange(difference, 1e-9, bound);
        Assert.True(model.Shape.KvBlockBytes(0, type) < model.Shape.KvBlockBytes(0, GgmlType.F16));
    }

    [Fact]
    public void Load_WithProgress_ReachesTheTotal()
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.F16);
        var seen = new List<(long Done, long Total)>();
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 2), Options, (done, total) => seen.Add((done, total)));
        Assert.Equal(seen.OrderBy(step => step.Done), seen);
        Assert.Equal(model.File.Tensors.Sum(tensor => tensor.ByteLength), seen[^1].Total);
        Assert.Equal(seen[^1].Total, seen[^1].Done);
    }

    [Fact]
    public void Forward_WithInvalidRows_NamesWhatIsWrong()
    {
        using var model = new RandomModel(RandomModel.Llama(1).Build(), _ => GgmlType.F32);
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 1), Options);
        stage.Cache.Append(0, [0]);
        Assert.Contains("token 48", Refused(48, 0, 0));
        Assert.Contains("token -1", Refused(-1, 0, 0));
        Assert.Contains("slot 2", Refused(0, 0, 2));
        Assert.Contains("position 32", Refused(0, 32, 0));
        Assert.Contains("position -1", Refused(0, -1, 0));
        Assert.Contains("position 0 of slot 1", Refused(0, 0, 1));

        string Refused(int token, int position, int slot)
        {
            var batch = new StepBatch(1);
            batch.Add(token, position, slot, true);
            return Assert.Throws<ArgumentException>(() => stage.Forward(batch, [], [])).Message;
        }
    }

    [Fact]
    public void Logits_OfRowsThatAsk_EqualThoseOfEveryRow()
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.Q8_0);
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 2), Options);
        stage.Cache.Append(0, [0]);
        float[][] every = Run(_ => true), some = Run(row => row is 2 or 5);
        Assert.Equal(2, some.Length);
        Assert.Equal(every[2], some[0]);
        Assert.Equal(every[5], some[1]);

        float[][] Run(Func<int, bool> wants)
        {
            var batch = new StepBatch(6);
            for (int row = 0; row < 6; row++)
            {
                batch.Add(row, row, 0, wants(row));
            }

            stage.Forward(batch, [], []);
            return [.. Enumerable.Range(0, batch.LogitRowCount).Select(i => stage.Logits(i).ToArray())];
        }
    }
}
