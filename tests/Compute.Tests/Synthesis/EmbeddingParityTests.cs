using System.Diagnostics;
using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Gguf;

namespace Lamina.Compute.Tests.Synthesis;

/// <summary>
/// Compares embeddings of made-up encoders, and of a decoder whose file says how it pools, with llama.cpp's. Runs under <c>./test --parity</c>, which installs the peer
/// and names its folder in LAMINA_PARITY_PEER.
/// </summary>
public sealed class EmbeddingParityTests(ITestOutputHelper output) : IDisposable
{
    private const double LeastCosine = 0.999;

    private static readonly int[][] Prompts = [[300, 17, 5, 99, 400, 23, 256, 8], [42], [.. Enumerable.Range(0, 200).Select(i => ((i * 37) + 11) % 470)]];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Embeddings_OfEncodersAndPooledDecoders_AreLlamaCpps()
    {
        string? peer = Environment.GetEnvironmentVariable("LAMINA_PARITY_PEER");
        Assert.SkipWhen(peer is null, "compares with llama.cpp only under ./test --parity");
        (string Architecture, QuantizationMix Mix, PoolingKind? Pooling)[] models =
        [
            ("bert", QuantizationMix.F16, null), ("bert", QuantizationMix.Q8_0, null), ("bert", QuantizationMix.F16, PoolingKind.First),
            ("nomic-bert", QuantizationMix.F16, null), ("nomic-bert", QuantizationMix.Q8_0, null),
            ("qwen3", QuantizationMix.F16, PoolingKind.Last), ("qwen3", QuantizationMix.F16, PoolingKind.Mean),
        ];
        string[] paths = [.. models.Select(model => Write(model.Architecture, model.Mix, model.Pooling))];
        string[] answers = AskPeer(peer!, paths);
        var failures = new List<string>();
        for (int i = 0; i < models.Length; i++)
        {
            for (int p = 0; p < Prompts.Length; p++)
            {
                Answer? answer = JsonSerializer.Deserialize<Answer?>(answers[(i * Prompts.Length) + p], JsonSerializerOptions.Web);
                double cosine = answer is null ? double.NaN : Cosine(Embed(paths[i], answer.Tokens), answer.Vector);
                string line = $"{models[i].Architecture,-12} {models[i].Mix,-5} {models[i].Pooling?.ToString() ?? "as made",-8} {answer?.Tokens.Length,4} tokens: cosine {cosine:f6}";
                output.WriteLine(line);
                if (!(cosine >= LeastCosine))
                {
                    failures.Add(line);
                }
            }
        }

        Assert.Empty(failures);
    }

    private sealed record Answer(int[] Tokens, double[] Vector);

    private string Write(string architecture, QuantizationMix mix, PoolingKind? pooling)
    {
        string path = folder[$"{architecture}-{mix}.gguf"];
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), mix, architecture));
        if (pooling is not { } kind)
        {
            return path;
        }

        string pooled = folder[$"{architecture}-{mix}-{kind}.gguf"];
        using GgufFile file = GgufFile.Open(path);
        GgufMetadata metadata = new GgufMetadataBuilder(file.Metadata).Set($"{architecture}.pooling_type", (int)kind).Build();
        File.WriteAllBytes(pooled, GgufWriter.ToBytes(metadata, [.. file.Tensors.Select(t => (new GgufTensorInfo(t.Name, t.Type, t.Dimensions, 0), t.RowBytes(0, (int)t.Rows).ToArray()))]));
        return pooled;
    }

    private static float[] Embed(string path, int[] tokens)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        using Stage stage = Stage.Load(file, shape, new LayerRange(0, shape.LayerCount), new StageOptions { Threads = 2, ContextLength = 512, KvBlocks = 16, MaxBatchRows = 256, MaxSequences = 1 });
        stage.Cache.Append(0, [.. Enumerable.Range(0, 16)]);
        var batch = new StepBatch(256);
        for (int i = 0; i < tokens.Length; i++)
        {
            batch.Add(tokens[i], i, 0, wantsLogits: false, wantsEmbedding: true);
        }

        stage.Forward(batch, [], []);
        var pooler = new TextPooler(shape.Pooling, shape.EmbeddingLength);
        for (int i = 0; i < tokens.Length; i++)
        {
            pooler.Add(stage.Embedding(i));
        }

        float[] embedding = new float[shape.EmbeddingLength];
        pooler.Finish(embedding);
        return embedding;
    }

    private static double Cosine(float[] a, double[] b)
    {
        Assert.Equal(a.Length, b.Length);
        double product = a.Zip(b).Sum(pair => pair.First * pair.Second);
        return product / Math.Sqrt(a.Sum(v => (double)v * v) * b.Sum(v => v * v));
    }

    private static string[] AskPeer(string peer, string[] paths)
    {
        var start = new ProcessStartInfo("node", ["embed.mjs", .. paths]) { WorkingDirectory = peer, RedirectStandardInput = true, RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Write(JsonSerializer.Serialize(Prompts));
        process.StandardInput.Close();
        string[] answers = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.Equal(paths.Length * Prompts.Length, answers.Length);
        return answers;
    }
}
