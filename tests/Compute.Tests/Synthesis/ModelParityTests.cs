using System.Diagnostics;
using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Gguf;
using Lamina.Compute.Tests.Model;

namespace Lamina.Compute.Tests.Synthesis;

/// <summary>
/// Compares log-probabilities of made-up models with llama.cpp's. Runs under <c>./test --parity</c>, which installs the peer and names its folder in LAMINA_PARITY_PEER.
/// </summary>
public sealed class ModelParityTests(ITestOutputHelper output) : IDisposable
{
    private const int Steps = 12;
    private const double UnquantisedBound = 0.03;
    private const double QuantisedBound = 0.08;

    /// <summary>A short text, and one longer than the windows and original contexts of the made-up models.</summary>
    private static readonly int[][] Prompts = [[300, 17, 5, 99, 400, 23, 256, 8], [.. Enumerable.Range(0, 90).Select(i => ((i * 37) + 11) % 470)]];

    private static readonly string[] Only = (Environment.GetEnvironmentVariable("LAMINA_PARITY_ONLY") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);
    private static readonly StageOptions Options = new() { Threads = 2, ContextLength = 512, KvBlocks = 16, MaxBatchRows = 128, MaxSequences = 1 };
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    /// <summary>Those that LAMINA_PARITY_ONLY lists, or all.</summary>
    [Fact]
    public void LogProbabilities_EveryArchitecture_AreLlamaCpps() =>
        Compare([.. SyntheticArchitectures.All.Where(architecture => !architecture.IsEncoder && (Only.Length == 0 || Only.Contains(architecture.Name))).Select(architecture => new Peered(architecture.Name, QuantizationMix.F16))]);

    [Fact]
    public void LogProbabilities_EveryQuantisation_AreLlamaCpps() =>
        Compare([.. Enum.GetValues<QuantizationMix>().Where(mix => Quantizer.Supports(mix.BaseType())).Select(mix => new Peered("llama", mix)), new("mixtral", QuantizationMix.Q4_K_M), new("qwen3moe", QuantizationMix.Q8_0), new("gpt-oss", QuantizationMix.MXFP4)]);

    [Fact]
    public void LogProbabilities_ThroughAdapters_AreLlamaCpps() =>
        Compare([.. new[] { "llama", "mixtral", "gemma2", "phi3", "qwen2", "qwen3moe", "granite", "gpt2" }.Select(name => new Peered(name, QuantizationMix.F16, AdapterScale: 0.7f)), new("llama", QuantizationMix.Q4_0, AdapterScale: -1)]);

    /// <param name="AdapterScale">0 for the model as it is.</param>
    private sealed record Peered(string Architecture, QuantizationMix Mix, float AdapterScale = 0)
    {
        public override string ToString() => $"{Architecture} {Mix}{(AdapterScale == 0 ? "" : $" x {AdapterScale}")}";
    }

    private void Compare(Peered[] models)
    {
        string? peer = Environment.GetEnvironmentVariable("LAMINA_PARITY_PEER");
        Assert.SkipWhen(peer is null, "compares with llama.cpp only under ./test --parity");
        string[] paths = [.. models.Select(model => folder[$"{model.Architecture}-{model.Mix}.gguf"])];
        for (int i = 0; i < models.Length; i++)
        {
            ModelSynthesizer.Write(paths[i], new SynthesisOptions(SyntheticShape.Preset("tiny"), models[i].Mix, models[i].Architecture));
        }

        string[] adapters = [.. models.Select((model, i) => model.AdapterScale == 0 ? "" : Adapter(paths[i], model))];
        string[] answers = AskPeer(peer!, [.. paths.Select((path, i) => adapters[i].Length == 0 ? path : $"{path}+{adapters[i]}+{models[i].AdapterScale}")]);
        var failures = new List<string>();
        for (int i = 0; i < models.Length; i++)
        {
            string name = models[i].ToString();
            double bound = models[i].Mix is QuantizationMix.F32 or QuantizationMix.F16 or QuantizationMix.BF16 or QuantizationMix.Q8_0 ? UnquantisedBound : QuantisedBound;
            double[] differences = Differences(paths[i], adapters[i], models[i].AdapterScale, answers.AsSpan(i * Prompts.Length, Prompts.Length));
            double mean = differences.DefaultIfEmpty(double.NaN).Average();
            double median = differences.DefaultIfEmpty(double.NaN).ElementAt(differences.Length / 2);
            // Where a near tie lets rounding choose another expert, single answers differ much: of models with experts the median counts.
            bool within = (HasExperts(paths[i]) ? median : mean) <= bound;
            output.WriteLine($"{name,-24} mean {mean:f4}, median {median:f4}, at most {differences.LastOrDefault(double.NaN):f4}{(within ? "" : $"   over {bound}")}");
            if (!within)
            {
                failures.Add(name);
            }
        }

        Assert.Empty(failures);
    }

    private string Adapter(string model, Peered peered)
    {
        using GgufFile file = GgufFile.Open(model);
        string path = folder[$"{peered.Architecture}-{peered.Mix}-adapter.gguf"];
        bool tied = !file.TryGet("output.weight", out _);
        AdapterSynthesizer.Write(path, file, new AdapterSynthesisOptions(), name => !name.Contains("ffn_gate_inp") && !(tied && name == "token_embd.weight"));
        return path;
    }

    private static bool HasExperts(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        return file.Tensors.Any(tensor => tensor.Name.Contains("ffn_gate_inp"));
    }

    /// <summary>Rising; empty when the peer did not load the file.</summary>
    private static double[] Differences(string path, string adapter, float scale, ReadOnlySpan<string> answers)
    {
        using GgufFile file = GgufFile.Open(path);
        using GgufFile? adapterFile = adapter.Length == 0 ? null : GgufFile.Open(adapter);
        var differences = new List<double>();
        for (int p = 0; p < Prompts.Length; p++)
        {
            if (JsonSerializer.Deserialize<double[][][]?>(answers[p]) is not { } steps)
            {
                return [];
            }

            using var sequence = new Sequence(file, ModelShape.FromGguf(file.Metadata), Options);
            if (adapterFile is not null)
            {
                sequence.Adapt(adapterFile, scale);
            }

            int[] feed = Prompts[p];
            foreach (double[][] step in steps)
            {
                ReadOnlySpan<float> logits = sequence.Feed(feed);
                double normaliser = LogSumExp(logits);
                foreach (double[] candidate in step)
                {
                    differences.Add(Math.Abs(logits[(int)candidate[0]] - normaliser - candidate[1]));
                }

                feed = [(int)step[0][0]];
            }
        }

        return [.. differences.Order()];
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double largest = double.NegativeInfinity;
        foreach (float logit in logits)
        {
            largest = Math.Max(largest, logit);
        }

        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        return largest + Math.Log(sum);
    }

    private static string[] AskPeer(string peer, string[] paths)
    {
        var start = new ProcessStartInfo("node", ["evaluate.mjs", $"{Steps}", .. paths]) { WorkingDirectory = peer, RedirectStandardInput = true, RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Write(JsonSerializer.Serialize(Prompts));
        process.StandardInput.Close();
        string[] answers = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        Assert.Equal(paths.Length * Prompts.Length, answers.Length);
        return answers;
    }
}
