using System.Text.Json;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Tests.Model;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Gpu;

/// <summary>Whole models on a GPU device: ILGPU's processor accelerator, or CUDA with LAMINA_TEST_CUDA=1.</summary>
public sealed class GpuModelTests(GpuModelTests.Device device) : IClassFixture<GpuModelTests.Device>
{
    /// <summary>References whose models lie on the device in a format of their own; the rest, which become halves, follow with LAMINA_TEST_LONG=1.</summary>
    private static readonly string[] s_always =
        ["stories260K.gguf", "q-f32.gguf", "q-BF16.gguf", "q-Q8_0.gguf", "q-Q4_0.gguf", "q-Q4_K_M.gguf", "q-Q5_K_M.gguf", "q-Q6_K.gguf", "q-IQ4_XS.gguf", "q-Q3_K_M.gguf", "q-IQ2_XXS.gguf"];

    public static TheoryData<string, string, double> Models => ParityTests.Models;

    public static TheoryData<string> Architectures => [.. ArchitectureCases.All.Select(test => test.ToString())];

    [Theory]
    [MemberData(nameof(Models))]
    public void Model_FedWithTheReferenceTokens_GivesItsLogProbabilities(string reference, string model, double bound)
    {
        string name = Path.GetFileName(model);
        Assert.SkipUnless(s_always.Contains(name) || model.StartsWith("arch/") || IsLong, "set LAMINA_TEST_LONG=1 for formats that become halves");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Repository.Shared("models/" + reference)));
        using GgufFile file = GgufFile.Open(Repository.Shared("models/" + model));
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        using var sequence = new Sequence(file, shape, new StageOptions { Device = device.Opened, ContextLength = 256, KvBlocks = 8, MaxBatchRows = 192, MaxSequences = 1 });
        double sum = 0;
        int count = 0;
        foreach (JsonElement test in json.RootElement.GetProperty("models").GetProperty(name).EnumerateArray().Take(IsLong ? int.MaxValue : 1))
        {
            int[] prompt = Integers(test.GetProperty("tokens")), greedy = Integers(test.GetProperty("greedy"));
            float[][] logits = sequence.FeedAnew([.. prompt, .. greedy[..^1]], prompt.Length - 1);
            for (int step = 0; step < greedy.Length; step++)
            {
                double normaliser = logits[step].Max() + Math.Log(logits[step].Sum(logit => Math.Exp(logit - logits[step].Max())));
                foreach (JsonElement candidate in test.GetProperty("top_logprobs")[step].EnumerateArray())
                {
                    if (candidate[1].ValueKind == JsonValueKind.Number)
                    {
                        sum += Math.Abs(logits[step][candidate[0].GetInt32()] - normaliser - candidate[1].GetDouble());
                        count++;
                    }
                }
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{model}: mean difference {sum / count:g3}");
        Assert.InRange(sum / count, 0, bound);
    }

    /// <summary>Every architecture that the processor runs, with weights of halves: the same numbers but for the rounding of sums and of exponentials.</summary>
    [Theory]
    [MemberData(nameof(Architectures))]
    public void Architecture_OnTheDevice_GivesTheProcessorsLogits(string name)
    {
        ArchitectureCase test = ArchitectureCases.All.Single(test => test.ToString() == name);
        using var model = new RandomModel(ArchitectureCases.Metadata(test, layers: 2), _ => GgmlType.F16, test.Optional);
        int[] tokens = [.. Enumerable.Range(0, 21).Select(i => i * 11 % 256)];
        var options = new StageOptions { ContextLength = 64, KvBlocks = 2, MaxBatchRows = 64, MaxSequences = 1 };
        using var cpu = new Sequence(model.File, model.Shape, options);
        float[] expected = cpu.Feed(tokens).ToArray();
        using var gpu = new Sequence(model.File, model.Shape, options with { Device = device.Opened }, stages: 2);
        gpu.Feed(tokens[..13]);
        gpu.Feed(tokens[13..20]);
        Near(expected, gpu.Feed(tokens[20]));
    }

    /// <summary>Encoders look at whole texts and give rows instead of logits.</summary>
    [Fact]
    public void Encoder_OnTheDevice_GivesTheProcessorsRows()
    {
        ArchitectureCase test = ArchitectureCases.Encoders[0];
        using var model = new RandomModel(ArchitectureCases.Metadata(test, layers: 2), _ => GgmlType.F16, test.Optional);
        var options = new StageOptions { ContextLength = 64, KvBlocks = 2, MaxBatchRows = 64, MaxSequences = 1 };
        Near(EncoderRows(model, options), EncoderRows(model, options with { Device = device.Opened }));
    }

    /// <summary>More than a span of positions, a cache of bytes, and a prefix that is copied and cleared as the scheduler does.</summary>
    [Theory]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.Q8_0)]
    public void Cache_OverManyBlocks_GivesTheProcessorsLogits(GgmlType type)
    {
        using var model = new RandomModel(RandomModel.Llama(1).Set("llama.context_length", 512).Build(), _ => GgmlType.Q8_0);
        int[] tokens = [.. Enumerable.Range(0, 300).Select(i => i * 7 % 48)];
        var options = new StageOptions { ContextLength = 320, KvBlocks = 10, MaxBatchRows = 300, MaxSequences = 1, KvType = type };
        using var cpu = new Sequence(model.File, model.Shape, options);
        using var gpu = new Sequence(model.File, model.Shape, options with { Device = device.Opened });
        cpu.Feed(tokens);
        gpu.Feed(tokens);
        Near(cpu.Feed(5), gpu.Feed(5), 0.05);
    }

    [Fact]
    public void Load_MoreThanTheDeviceHas_SaysWhatIsNeededAndFree()
    {
        using var model = new RandomModel(RandomModel.Llama(1).Build(), _ => GgmlType.F16);
        var options = new StageOptions { Device = device.Opened, ContextLength = 64, KvBlocks = 1 << 28, MaxBatchRows = 4, MaxSequences = 1 };
        string message = Assert.Throws<OutOfMemoryException>(() => Stage.Load(model.File, model.Shape, new LayerRange(0, 1), options)).Message;
        Assert.Contains($"{Stage.RequiredBytes(model.File, model.Shape, new LayerRange(0, 1), options) >> 20} MiB on {device.Opened.Name}", message);
        Assert.Contains("are free", message);
    }

    /// <summary>What is asked for before loading covers what is held after it, and is not far above.</summary>
    [Fact]
    public void RequiredBytes_BeforeLoading_CoverWhatTheStageHolds()
    {
        using var model = new RandomModel(RandomModel.Llama(2).Build(), _ => GgmlType.Q8_0);
        var options = new StageOptions { Device = device.Opened, ContextLength = 64, KvBlocks = 64, MaxBatchRows = 4, MaxSequences = 1 };
        var layers = new LayerRange(0, 2);
        using Stage stage = Stage.Load(model.File, model.Shape, layers, options);
        long workspace = options.Device.WorkspaceBytes(BufferSizes.Of(model.Shape, layers, options)), required = Stage.RequiredBytes(model.File, model.Shape, layers, options);
        Assert.InRange(required, stage.MemoryBytes, stage.MemoryBytes + workspace + 32_768);
    }

    [Fact]
    public void Load_ACacheTypeThatTheDeviceHasNot_IsRefused()
    {
        using var model = new RandomModel(RandomModel.Llama(1).Build(), _ => GgmlType.F16);
        var options = new StageOptions { Device = device.Opened, ContextLength = 64, KvBlocks = 2, KvType = GgmlType.Q4_0 };
        Assert.Contains("F16 and Q8_0", Assert.Throws<NotSupportedException>(() => Stage.Load(model.File, model.Shape, new LayerRange(0, 1), options)).Message);
    }

    private static bool IsLong => Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1";

    /// <summary>Mean difference below a thousandth of the values' spread.</summary>
    private static void Near(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, double bound = 2e-3)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = 0, mean = 0, spread = 0;
        foreach (float value in expected)
        {
            mean += value / expected.Length;
        }

        for (int i = 0; i < expected.Length; i++)
        {
            difference += Math.Abs(expected[i] - actual[i]) / expected.Length;
            spread += Math.Abs(expected[i] - mean) / expected.Length;
        }

        Assert.InRange(difference, 0, bound * spread);
    }

    private static float[] EncoderRows(RandomModel model, StageOptions options)
    {
        using Stage stage = Stage.Load(model.File, model.Shape, new LayerRange(0, 2), options);
        stage.Cache.Append(0, [0, 1]);
        var batch = new StepBatch(64);
        for (int i = 0; i < 20; i++)
        {
            batch.Add(i * 11 % 256, i, 0, wantsLogits: false, wantsEmbedding: true);
        }

        stage.Forward(batch, [], []);
        return [.. Enumerable.Range(0, 20).SelectMany(i => stage.Embedding(i).ToArray())];
    }

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];

    public sealed class Device : IDisposable
    {
        public ComputeDevice Opened { get; } = ComputeDevice.Open(Environment.GetEnvironmentVariable("LAMINA_TEST_CUDA") == "1" ? "cuda:0" : "ilgpu-cpu");

        public void Dispose() => Opened.Dispose();
    }
}
