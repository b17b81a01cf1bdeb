using System.Runtime.InteropServices;
using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A made-up encoder over two nodes.</summary>
public sealed class EncoderCell : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-encoder-").FullName;

    internal TestCell Cell { get; private set; } = null!;

    public string ModelPath => Path.Combine(_folder, "bert.gguf");

    public async ValueTask InitializeAsync()
    {
        ModelSynthesizer.Write(ModelPath, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0, "bert"));
        Cell = await TestCell.StartAsync(new ModelOptions { Name = "bert", Path = ModelPath, Nodes = 2, ContextLength = 600, EmbeddingDimensions = [64] }, "node-1", "node-2");
        await Cell.ReadyAsync("bert");
    }

    public async ValueTask DisposeAsync()
    {
        await Cell.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

public class EmbeddingTests(EncoderCell shared) : IClassFixture<EncoderCell>
{
    private readonly TestCell _cell = shared.Cell;

    [Fact]
    public async Task Embeddings_OfTexts_AreThoseOfTheModelAlone()
    {
        string[] texts = ["a tale of two cities", "x", string.Concat(Enumerable.Repeat("it was the best of times ", 20))];
        JsonElement answer = await _cell.PostAsync("/v1/embeddings", $$"""{"model":"bert","input":{{JsonSerializer.Serialize(texts)}}}""");

        int tokens = 0;
        for (int i = 0; i < texts.Length; i++)
        {
            JsonElement entry = answer.GetProperty("data")[i];
            Assert.Equal((i, "embedding"), (entry.GetProperty("index").GetInt32(), entry.GetProperty("object").GetString()));
            Assert.Equal(Alone(texts[i], out int count), Values(entry));
            tokens += count;
        }

        Assert.Equal(tokens, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal("list", answer.GetProperty("object").GetString());
    }

    [Fact]
    public async Task Embeddings_AsBase64OrOfTokens_AreTheSame()
    {
        float[] expected = Alone("hello", out _);
        JsonElement base64 = (await _cell.PostAsync("/v1/embeddings", """{"model":"bert","input":"hello","encoding_format":"base64","user":"u"}""")).GetProperty("data")[0];
        Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(base64.GetProperty("embedding").GetBytesFromBase64()).ToArray());

        using GgufFile file = GgufFile.Open(shared.ModelPath);
        int[] tokens = Prompt.Build(Tokenizer.FromGguf(file.Metadata), "hello");
        Assert.Equal(expected, Values((await _cell.PostAsync("/v1/embeddings", $$"""{"model":"bert","input":{{JsonSerializer.Serialize(tokens)}}}""")).GetProperty("data")[0]));
    }

    [Fact]
    public async Task Embeddings_Cut_AreOfUnitLengthAgain()
    {
        float[] whole = Alone("hello", out _);
        float[] cut = Values((await _cell.PostAsync("/v1/embeddings", """{"model":"bert","input":"hello","dimensions":64}""")).GetProperty("data")[0]);

        double norm = Math.Sqrt(whole.Take(64).Sum(v => (double)v * v));
        Assert.Equal(64, cut.Length);
        Assert.All(cut.Zip(whole), pair => Assert.Equal(pair.Second / norm, pair.First, 1e-6));
    }

    [Fact]
    public async Task Rerank_OrdersByTheCosine()
    {
        string[] documents = ["some other text", "the very question", "the very questions"];
        JsonElement results = (await _cell.PostAsync("/v1/rerank", $$"""
            {"model":"bert","query":"the very question","documents":{{JsonSerializer.Serialize(documents)}},"top_n":2,"return_documents":true}
            """)).GetProperty("results");

        Assert.Equal(2, results.GetArrayLength());
        Assert.Equal((1, "the very question"), (results[0].GetProperty("index").GetInt32(), results[0].GetProperty("document").GetProperty("text").GetString()));
        Assert.Equal(1, results[0].GetProperty("relevance_score").GetSingle(), 1e-5);
        double expected = Alone(documents[0], out _).Zip(Alone("the very question", out _)).Sum(pair => (double)pair.First * pair.Second);
        double second = Alone(documents[2], out _).Zip(Alone("the very question", out _)).Sum(pair => (double)pair.First * pair.Second);
        Assert.Equal(Math.Max(expected, second), results[1].GetProperty("relevance_score").GetSingle(), 1e-5);
    }

    [Theory]
    [InlineData("/v1/embeddings", """{"model":"bert","input":"a","dimensions":63}""", "dimensions")]
    [InlineData("/v1/embeddings", """{"model":"bert","input":["a",""]}""", "input")]
    [InlineData("/v1/embeddings", """{"model":"bert","input":["a",[1,99999]]}""", "input[1]")]
    [InlineData("/v1/rerank", """{"model":"bert","query":"","documents":["b"]}""", "query")]
    [InlineData("/v1/chat/completions", """{"model":"bert","messages":[{"role":"user","content":"a"}]}""", "model")]
    [InlineData("/v1/completions", """{"model":"bert","prompt":"a"}""", "model")]
    public async Task Request_ThatCannotBe_IsRefusedByName(string route, string body, string param)
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync(route, body);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());

        Assert.Equal((400, param), ((int)response.StatusCode, json.RootElement.GetProperty("error").GetProperty("param").GetString()));
    }

    [Fact]
    public async Task Embeddings_OfATextBeyondTheContext_AreRefused()
    {
        string text = JsonSerializer.Serialize(Enumerable.Repeat(5, 601));
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/embeddings", $$"""{"model":"bert","input":{{text}}}""");

        Assert.Equal(400, (int)response.StatusCode);
        Assert.Contains("a text has 601 tokens, but the model takes at most 600 at once", await response.Content.ReadAsStringAsync());
    }

    private static float[] Values(JsonElement entry) => [.. entry.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle())];

    /// <summary>The same file in this process, one stage, one step.</summary>
    private float[] Alone(string text, out int tokens)
    {
        using GgufFile file = GgufFile.Open(shared.ModelPath);
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        int[] ids = Prompt.Build(Tokenizer.FromGguf(file.Metadata), text);
        tokens = ids.Length;
        using Stage stage = Stage.Load(file, shape, new LayerRange(0, shape.LayerCount), new StageOptions { ContextLength = 600, KvBlocks = 19, MaxBatchRows = 600, MaxSequences = 1, Threads = 1 });
        stage.Cache.Append(0, [.. Enumerable.Range(0, 19)]);
        var batch = new StepBatch(600);
        for (int i = 0; i < ids.Length; i++)
        {
            batch.Add(ids[i], i, 0, wantsLogits: false, wantsEmbedding: true);
        }

        stage.Forward(batch, [], []);
        float[] embedding = new float[shape.EmbeddingLength];
        Pooling.Pool(shape.Pooling, [.. Enumerable.Range(0, ids.Length).SelectMany(i => stage.Embedding(i).ToArray())], embedding);
        return embedding;
    }
}
