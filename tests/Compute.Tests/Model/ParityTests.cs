using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Model;

/// <summary>Log-probabilities against llama.cpp's, fed with the reference's own greedy tokens.</summary>
public sealed class ParityTests
{
    public static TheoryData<string, string, double> Models => new()
    {
        { "reference.json", "stories260K.gguf", 0.03 },
        { "quant/reference.json", "quant/q-f32.gguf", 0.03 },
        { "quant/reference.json", "quant/q-BF16.gguf", 0.03 },
        { "quant/reference.json", "quant/q-Q8_0.gguf", 0.03 },
        { "quant/reference.json", "quant/q-Q4_0.gguf", 0.08 },
        { "quant/reference.json", "quant/q-Q4_K_S.gguf", 0.08 },
        { "quant/reference.json", "quant/q-Q4_K_M.gguf", 0.08 },
        { "quant/reference.json", "quant/q-Q5_K_S.gguf", 0.08 },
        { "quant/reference.json", "quant/q-Q5_K_M.gguf", 0.08 },
        { "quant/reference.json", "quant/q-Q6_K.gguf", 0.08 },
        { "arch/reference.json", "arch/llama-ropefactors.gguf", 0.03 },
        { "arch/reference.json", "arch/mixtral.gguf", 0.03 },
        { "arch/reference.json", "arch/qwen2.gguf", 0.03 },
        { "arch/reference.json", "arch/qwen3.gguf", 0.03 },
        { "arch/reference.json", "arch/gemma2.gguf", 0.03 },
        { "arch/reference.json", "arch/phi3.gguf", 0.03 },
    };

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
