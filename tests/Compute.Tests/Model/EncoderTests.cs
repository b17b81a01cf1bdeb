using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed class EncoderTests
{
    private static readonly StageOptions Options = new() { ContextLength = 64, KvBlocks = 4, MaxBatchRows = 64, MaxSequences = 2 };

    public static TheoryData<string> Names => [.. ArchitectureCases.Encoders.Select(test => test.ToString())];

    [Theory]
    [MemberData(nameof(Names))]
    public void Encoder_BesideAnotherText_GivesTheSameBits(string name)
    {
        using RandomModel model = Model(name);
        Assert.Empty(model.Shape.UnknownTensors(model.File.Tensors.Select(tensor => tensor.Name)));
        int[] first = [.. Enumerable.Range(5, 33)], second = [9, 8, 7];
        float[] alone = Rows(model, 1, [first]), beside = Rows(model, 3, [second, first]);
        Assert.All(alone, value => Assert.True(float.IsFinite(value)));
        Assert.Equal(alone, beside[(3 * model.Shape.EmbeddingLength)..]);
    }

    [Fact]
    public void Encoder_LooksAhead()
    {
        using RandomModel model = Model("bert");
        int width = model.Shape.EmbeddingLength;
        float[] one = Rows(model, 1, [[1, 2, 3]]), other = Rows(model, 1, [[1, 2, 4]]);
        Assert.NotEqual(one[..width], other[..width]);
    }

    [Fact]
    public void Encoder_GivenPartOfAText_Refuses()
    {
        using RandomModel model = Model("bert");
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 3), Options);
        stage.Cache.Append(0, [0]);
        var batch = new StepBatch(1);
        batch.Add(1, 1, 0, true);
        Assert.Contains("whole texts", Assert.Throws<ArgumentException>(() => stage.Forward(batch, [], [])).Message);
    }

    [Theory]
    [InlineData(PoolingKind.Mean, 0.6f, 0.8f)]
    [InlineData(PoolingKind.First, 1f, 0f)]
    [InlineData(PoolingKind.Last, 0f, 1f)]
    public void Pool_OfTwoRows_HasUnitLength(PoolingKind kind, float x, float y)
    {
        var embedding = new float[2];
        Pooling.Pool(kind, [3, 0, 0, 4], embedding);
        Assert.Equal([x, y], embedding);
    }

    private static RandomModel Model(string name)
    {
        ArchitectureCase test = ArchitectureCases.Encoders.Single(test => test.ToString() == name);
        return new RandomModel(ArchitectureCases.Metadata(test, layers: 3), _ => GgmlType.F16, test.Optional);
    }

    /// <summary>Final rows of all texts, one after the other.</summary>
    private static float[] Rows(RandomModel model, int stageCount, int[][] texts)
    {
        Stage[] stages = Sequence.Load(model.File, model.Shape, Options, stageCount);
        var batch = new StepBatch(Options.MaxBatchRows);
        for (int slot = 0; slot < texts.Length; slot++)
        {
            Array.ForEach(stages, stage => stage.Cache.Append(slot, [slot, slot + 2]));
            for (int i = 0; i < texts[slot].Length; i++)
            {
                batch.Add(texts[slot][i], i, slot, wantsLogits: false, wantsEmbedding: true);
            }
        }

        var rows = new float[Options.MaxBatchRows * model.Shape.EmbeddingLength];
        Array.ForEach(stages, stage => stage.Forward(batch, rows, rows));
        float[] result = [.. Enumerable.Range(0, batch.RowCount).SelectMany(row => stages[^1].Embedding(row).ToArray())];
        Array.ForEach(stages, stage => stage.Dispose());
        return result;
    }
}
