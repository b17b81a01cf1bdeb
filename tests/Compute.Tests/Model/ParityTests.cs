using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Model;

/// <summary>Log-probabilities against llama.cpp's, fed with the reference's own greedy tokens.</summary>
public sealed class ParityTests
{
    /// <summary>Every file that has a reference; tighter where weights are floats or bytes.</summary>
    public static TheoryData<string, string, double> Models
    {
        get
        {
            var models = new TheoryData<string, string, double>();
            foreach (string folder in new[] { "", "quant/", "arch/" })
            {
                string reference = Path.GetFullPath(Path.Combine(Repository.Root, "..", "shared", "models", folder, "reference.json"));
                if (!File.Exists(reference))
                {
                    continue;
                }

                using JsonDocument json = JsonDocument.Parse(File.ReadAllText(reference));
                foreach (JsonProperty model in json.RootElement.GetProperty("models").EnumerateObject())
                {
                    bool tight = folder != "quant/" || model.Name is "q-f32.gguf" or "q-BF16.gguf" or "q-F16.gguf" or "q-Q8_0.gguf";
                    models.Add(folder + "reference.json", folder + model.Name, tight ? 0.03 : 0.08);
                }
            }

            if (models.Count == 0)
            {
                // So that the test shows as skipped where the references are absent.
                models.Add("reference.json", "stories260K.gguf", 0.03);
            }

            return models;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Model_FedWithTheReferenceTokens_GivesItsLogProbabilities(string reference, string model, double bound)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Repository.Shared("models/" + reference)));
        using GgufFile file = GgufFile.Open(Repository.Shared("models/" + model));
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        Assert.Empty(shape.UnknownTensors(file.Tensors.Select(tensor => tensor.Name)));
        double sum = 0;
        int count = 0, differing = 0;
        foreach (JsonElement test in json.RootElement.GetProperty("models").GetProperty(Path.GetFileName(model)).EnumerateArray())
        {
            int[] prompt = Integers(test.GetProperty("tokens")), greedy = Integers(test.GetProperty("greedy"));
            using var sequence = new Sequence(file, shape, new StageOptions { ContextLength = 256, KvBlocks = 8, MaxBatchRows = 128, MaxSequences = 1 });
            ReadOnlySpan<float> logits = sequence.Feed(prompt);
            for (int step = 0; step < greedy.Length; step++)
            {
                double normaliser = LogSumExp(logits);
                foreach (JsonElement candidate in test.GetProperty("top_logprobs")[step].EnumerateArray())
                {
                    if (candidate[1].ValueKind == JsonValueKind.Number)
                    {
                        sum += Math.Abs(logits[candidate[0].GetInt32()] - normaliser - candidate[1].GetDouble());
                        count++;
                    }
                }

                differing += Largest(logits) == greedy[step] ? 0 : 1;
                logits = sequence.Feed(greedy[step]);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{model}: mean difference {sum / count:g3}, {differing} greedy tokens differ");
        Assert.InRange(sum / count, 0, bound);
        Assert.True(differing == 0 || model != "stories260K.gguf", $"{differing} greedy tokens differ");
    }

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double max = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits)
        {
            max = Math.Max(max, logit);
        }

        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - max);
        }

        return max + Math.Log(sum);
    }

    private static int Largest(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
        {
            best = logits[i] > logits[best] ? i : best;
        }

        return best;
    }
}
