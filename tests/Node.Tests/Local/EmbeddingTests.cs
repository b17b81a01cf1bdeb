using Lamina.Cluster.Messages;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Node.Local;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Local;

/// <summary>Embeddings through whole pipelines. That they are llama.cpp's is compared under <c>./test --parity</c>.</summary>
public sealed class EmbeddingTests : IDisposable
{
    private const int Layers = 4;

    private static readonly StageSettings s_settings = new(
        ContextLength: 128, KvBlocks: 24, MaxSequences: 6, MaxBatchRows: 128, PrefillChunk: 32, KvType: (int)GgmlType.F16, Threads: 1);

    private static readonly int[][] s_texts = [[7], [5, 9, 300, 22], [.. Enumerable.Range(0, 70).Select(i => ((i * 37) + 11) % 470)], [.. Enumerable.Range(0, 128).Select(i => ((i * 13) + 3) % 470)]];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-embedding-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory, InlineData("bert", null), InlineData("nomic-bert", null), InlineData("qwen3", 1), InlineData("llama", 3)]
    public async Task Embedding_OverAnyStagesAmongOthers_IsThatOfItsRowsAlone(string architecture, int? pooling)
    {
        using GgufFile file = Model(architecture, pooling);
        float[][] expected = [.. s_texts.Select(text => Direct(file, text))];
        Assert.Equal(s_texts.Length, expected.Select(e => e[0]).Distinct().Count());
        foreach (int stages in (int[])[1, 2, 4])
        {
            using LocalEngine engine = LocalEngine.Load(file, s_settings, [.. Enumerable.Range(0, stages).Select(i => new LayerRange(i * Layers / stages, (i + 1) * Layers / stages))]);
            float[][] together = await Task.WhenAll(s_texts.Select(text => engine.EmbedAsync(Generations.Request(text, 1)))).WaitAsync(Generations.Deadline);
            Assert.Equal(expected, together);
            Assert.Equal(expected[2], await engine.EmbedAsync(Generations.Request(s_texts[2], 1)).WaitAsync(Generations.Deadline));
        }
    }

    [Fact]
    public async Task Embedding_AmongGenerations_DisturbsNeither()
    {
        using GgufFile file = Model("qwen3", 1);
        int[] prompt = s_texts[2][..40];
        using LocalEngine engine = LocalEngine.Load(file, s_settings, [new LayerRange(0, 2), new LayerRange(2, Layers)]);
        (int[] alone, _) = await Generations.RunAsync(engine, Generations.Request(prompt, 30));
        Task<(int[] Tokens, GenerationProtocol.GenerationEnded)>[] runs = [.. Enumerable.Range(0, 3).Select(_ => Generations.RunAsync(engine, Generations.Request(prompt, 30)))];
        float[] embedding = await engine.EmbedAsync(Generations.Request(s_texts[3], 1)).WaitAsync(Generations.Deadline);
        Assert.All(await Task.WhenAll(runs), run => Assert.Equal(alone, run.Tokens));
        Assert.Equal(Direct(file, s_texts[3]), embedding);
    }

    [Theory]
    [InlineData("bert", null, 129, "the prompt of 129 tokens leaves no room in the context of 128")]
    [InlineData("llama", null, 3, "the model does not say how a text's embedding is made")]
    public async Task Embedding_ThatCannotBe_IsRefusedWithASentence(string architecture, int? pooling, int length, string reason)
    {
        using GgufFile file = Model(architecture, pooling);
        using LocalEngine engine = LocalEngine.Load(file, s_settings with { MaxBatchRows = 256 });
        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(() => engine.EmbedAsync(Generations.Request(new int[length], 1)).WaitAsync(Generations.Deadline));
        Assert.Equal(reason, e.Message);
    }

    [Fact]
    public async Task Encoder_AskedForTokens_Refuses()
    {
        using GgufFile file = Model("bert", null);
        using LocalEngine engine = LocalEngine.Load(file, s_settings);
        (_, GenerationProtocol.GenerationEnded ended) = await Generations.RunAsync(engine, Generations.Request([1, 2], 3));
        Assert.Equal((GenerationOutcome.Refused, "the model is an encoder: it embeds texts and continues none"), (ended.Outcome, ended.Reason));
    }

    private GgufFile Model(string architecture, int? pooling)
    {
        string path = Path.Combine(_folder.FullName, $"{architecture}.gguf");
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0, architecture, Layers));
        if (pooling is { } kind)
        {
            string pooled = Path.Combine(_folder.FullName, $"{architecture}-{kind}.gguf");
            using GgufFile plain = GgufFile.Open(path);
            GgufMetadata metadata = new GgufMetadataBuilder(plain.Metadata).Set($"{architecture}.pooling_type", kind).Build();
            File.WriteAllBytes(pooled, GgufWriter.ToBytes(metadata, [.. plain.Tensors.Select(t => (new GgufTensorInfo(t.Name, t.Type, t.Dimensions, 0), t.RowBytes(0, (int)t.Rows).ToArray()))]));
            path = pooled;
        }

        return GgufFile.Open(path);
    }

    /// <summary>The text's rows from one stage in one step, pooled by the definition: their mean in double precision, or the last, over its length.</summary>
    private static float[] Direct(GgufFile file, int[] text)
    {
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        using Stage stage = Stage.Load(file, shape, new LayerRange(0, Layers), new StageOptions { ContextLength = 128, KvBlocks = 8, MaxBatchRows = 128, MaxSequences = 1, Threads = 1 });
        stage.Cache.Append(0, [0, 1, 2, 3]);
        var batch = new StepBatch(128);
        for (int i = 0; i < text.Length; i++)
        {
            batch.Add(text[i], i, 0, wantsLogits: false, wantsEmbedding: true);
        }

        stage.Forward(batch, [], []);
        float[] pooled = new float[shape.EmbeddingLength];
        for (int d = 0; d < pooled.Length; d++)
        {
            double sum = 0;
            for (int row = 0; row < text.Length; row++)
            {
                sum += stage.Embedding(row)[d];
            }

            pooled[d] = shape.Pooling == PoolingKind.Mean ? (float)(sum / text.Length) : stage.Embedding(text.Length - 1)[d];
        }

        double squares = 0;
        foreach (float value in pooled)
        {
            squares += (double)value * value;
        }

        float scale = (float)(1 / Math.Sqrt(squares));
        return [.. pooled.Select(value => value * scale)];
    }
}
