using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Gguf;
using Lamina.Compute.Tests.Kernels;

namespace Lamina.Compute.Tests.Model.Adapters;

public sealed class AdapterTests : IDisposable
{
    private static readonly int[] Tokens = [.. Enumerable.Range(0, 20).Select(i => i * 11 % 256)];
    private static readonly StageOptions Options = new() { ContextLength = 64, KvBlocks = 8, MaxBatchRows = 64, MaxSequences = 4 };
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("llama", 0.5f)]
    [InlineData("llama-experts", 1f)]
    [InlineData("qwen2moe", 1f)]
    [InlineData("gpt2", -1f)]
    [InlineData("deepseek2-lite", 1f)]
    [InlineData("deepseek2-absorbed", 1f)]
    public void Adapter_OnEveryMatrix_EqualsTheMergedModel(string name, float scale)
    {
        ArchitectureCase test = ArchitectureCases.All.Single(test => test.ToString() == name);
        using var model = new RandomModel(ArchitectureCases.Metadata(test, layers: 2), _ => GgmlType.F32, tensor => tensor == "output.weight" || test.Optional(tensor));
        using GgufFile adapter = Synthesize("adapter", model.File, new AdapterSynthesisOptions(Rank: 3, Alpha: 6, Strength: 0.3f), tensor => !tensor.Contains("ffn_gate_inp"));
        using GgufFile merged = MergedModel.Write(_folder, "merged.gguf", model.File, adapter, scale * 2);

        using Stage expected = Load(merged, model.Shape), actual = Load(model.File, model.Shape), plain = Load(model.File, model.Shape);
        int number = actual.Adapters.Load(adapter, AdapterShape.FromGguf(adapter.Metadata));
        actual.Adapters.Assign(0, [new AdapterUse(number, scale)]);
        float[] want = Run([expected], Tokens, 0, 20), got = Run([actual], Tokens, 0, 20), without = Run([plain], Tokens, 0, 20);
        Assert.True(Distance(want, got) < 2e-3, $"differs by {Distance(want, got)}");
        Assert.True(Distance(want, without) > 0.1, $"the adapter changes only {Distance(want, without)}");
    }

    [Fact]
    public void Adapters_CutInEveryWay_GiveTheSameBits()
    {
        using var model = new RandomModel(ArchitectureCases.Metadata(ArchitectureCases.All.Single(test => test.ToString() == "llama-experts"), layers: 4), _ => GgmlType.Q8_0);
        using GgufFile first = Synthesize("first", model.File, new AdapterSynthesisOptions(Rank: 5, Seed: 1), _ => true);
        using GgufFile second = Synthesize("second", model.File, new AdapterSynthesisOptions(Rank: 16, Seed: 2), tensor => tensor.Contains("attn"));
        AdapterUse[][] uses = [[new(0, 1), new(1, 0.5f)], [], [new(1, -2)], [new(0, 0.25f)]];
        float[][]? expected = null;
        foreach (CpuVariant variant in CpuVariants.Available)
        {
            foreach ((int stageCount, int chunk, bool alone) in new[] { (1, 20, false), (2, 7, false), (4, 1, false), (1, 3, true) })
            {
                Stage[] stages = Sequence.Load(model.File, model.Shape, Options with { Variant = variant, Threads = stageCount }, stageCount);
                Array.ForEach(stages, stage => Prepare(stage, uses, first, second));
                float[][] logits = alone
                    ? [.. Enumerable.Range(0, 4).Select(slot => Run(stages, Tokens, slot, chunk))]
                    : RunTogether(stages, chunk);
                expected ??= logits;
                for (int slot = 0; slot < 4; slot++)
                {
                    Assert.True(expected[slot].AsSpan().SequenceEqual(logits[slot]), $"{variant}, {stageCount} stages, chunks of {chunk}, slot {slot}: other bits");
                }

                Array.ForEach(stages, stage => stage.Dispose());
            }
        }

        using Stage plain = Load(model.File, model.Shape);
        Assert.Equal(Run([plain], Tokens, 1, 20), expected![1]);
    }

    [Fact]
    public void Adapter_UnloadedAndLoadedAgain_TakesItsNumberAndGivesItsMemoryBack()
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.F32);
        using GgufFile file = Synthesize("adapter", model.File, new AdapterSynthesisOptions(), _ => true);
        AdapterShape shape = AdapterShape.FromGguf(file.Metadata);
        using Stage stage = Load(model.File, model.Shape);
        long before = stage.MemoryBytes;
        int number = stage.Adapters.Load(file, shape);
        Assert.Equal(AdapterShape.RequiredBytes(file, model.Shape, stage.Layers, name => model.File.TryGet(name, out _)), stage.MemoryBytes - before);
        stage.Adapters.Assign(3, [new AdapterUse(number, 1)]);
        Assert.Contains("slot 3", Assert.Throws<ArgumentException>(() => stage.Adapters.Unload(number)).Message);
        stage.Adapters.Assign(3, []);
        stage.Adapters.Unload(number);
        Assert.Equal(before, stage.MemoryBytes);
        Assert.Throws<ArgumentException>(() => stage.Adapters.Assign(0, [new AdapterUse(number, 1)]));
        Assert.Equal(number, stage.Adapters.Load(file, shape));
    }

    private Stage Load(GgufFile file, ModelShape shape)
    {
        Stage stage = Stage.Load(file, shape, new LayerRange(0, shape.LayerCount), Options);
        AppendBlocks(stage);
        return stage;
    }

    private static void Prepare(Stage stage, AdapterUse[][] uses, params GgufFile[] adapters)
    {
        AppendBlocks(stage);
        Array.ForEach(adapters, adapter => stage.Adapters.Load(adapter, AdapterShape.FromGguf(adapter.Metadata)));
        for (int slot = 0; slot < uses.Length; slot++)
        {
            stage.Adapters.Assign(slot, uses[slot]);
        }
    }

    private static void AppendBlocks(Stage stage)
    {
        for (int slot = 0; slot < 4; slot++)
        {
            stage.Cache.Append(slot, [slot * 2, (slot * 2) + 1]);
        }
    }

    private GgufFile Synthesize(string name, GgufFile model, AdapterSynthesisOptions options, Func<string, bool> changes)
    {
        AdapterSynthesizer.Write(_folder[name], model, options, changes);
        GgufFile adapter = GgufFile.Open(_folder[name]);
        AdapterShape.FromGguf(adapter.Metadata).Check(adapter.Tensors, ModelShape.FromGguf(model.Metadata), tensor => model.TryGet(tensor, out _));
        return adapter;
    }

    /// <summary>Logits of the last token of one slot.</summary>
    private static float[] Run(Stage[] stages, int[] tokens, int slot, int chunk)
    {
        var batch = new StepBatch(64);
        for (int done = 0; done < tokens.Length; done += chunk)
        {
            batch.Clear();
            for (int i = done; i < Math.Min(tokens.Length, done + chunk); i++)
            {
                batch.Add(tokens[i], i, slot, i == tokens.Length - 1);
            }

            Forward(stages, batch);
        }

        return stages[^1].Logits(0).ToArray();
    }

    /// <summary>All four slots with the same tokens side by side; the last token's logits of each.</summary>
    private static float[][] RunTogether(Stage[] stages, int chunk)
    {
        var logits = new float[4][];
        var batch = new StepBatch(64 * 4);
        int perStep = Math.Min(chunk, 64 / 4);
        for (int done = 0; done < Tokens.Length; done += perStep)
        {
            batch.Clear();
            for (int slot = 0; slot < 4; slot++)
            {
                for (int i = done; i < Math.Min(Tokens.Length, done + perStep); i++)
                {
                    batch.Add(Tokens[i], i, slot, i == Tokens.Length - 1);
                }
            }

            Forward(stages, batch);
            for (int i = 0; i < batch.LogitRowCount; i++)
            {
                logits[batch.Slots[batch.LogitRows[i]]] = stages[^1].Logits(i).ToArray();
            }
        }

        return logits;
    }

    private static void Forward(Stage[] stages, StepBatch batch)
    {
        var rows = new float[batch.RowCount * stages[0].Shape.EmbeddingLength];
        Array.ForEach(stages, stage => stage.Forward(batch, rows, rows));
    }

    private static double Distance(float[] left, float[] right) => left.Zip(right, (a, b) => Math.Abs((double)a - b)).Max();
}
