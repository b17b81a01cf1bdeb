using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>Nodes that compute as GPUs do, here on ILGPU's processor accelerator, alone and in a pipeline with others.</summary>
public sealed class GpuPipelineTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(240);

    private static string Model => Repository.File("models/lamina-tiny-q8_0.gguf");

    /// <summary>Two real processes: the first half of the layers on the one device, the second on the other.</summary>
    [Fact]
    public async Task Pipeline_OfAGpuNodeAndAProcessorNode_AnswersAsEitherAlone()
    {
        string[] prompt = ["run", Model, "-p", "Once upon a time", "-n", "12", "--temp", "0", "--json", "--context", "128"];
        JsonNode processor = await RunAsync(prompt), gpu = await RunAsync([.. prompt, "--device", "ilgpu-cpu"]);
        JsonNode pipeline = await RunAsync([.. prompt, "--nodes", "2", "--device", "ilgpu-cpu,cpu"]);
        string expected = processor["tokens"]!.ToJsonString();
        Assert.True(processor["tokens"]!.AsArray().Count > 8, expected);
        Assert.Equal(expected, gpu["tokens"]!.ToJsonString());
        Assert.Equal(expected, pipeline["tokens"]!.ToJsonString());
        Assert.Equal(2, pipeline["stages"]!.AsArray().Select(stage => (string)stage!["node"]!).Distinct().Count());
    }

    [Theory]
    [InlineData("tpu", 2, "auto, cpu or cuda:N")]
    [InlineData("cpu,cpu", 2, "2 devices for 1 nodes")]
    public async Task Run_WithAnUnknownDevice_IsWrongUsage(string device, int exitCode, string said)
    {
        using LaminaProcess run = await LaminaProcess.RunAsync(s_limit, "run", Model, "-p", "x", "--device", device);
        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains(said, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_OnAGpuWithoutADriver_SaysSo()
    {
        Assert.SkipWhen(File.Exists("/dev/nvidiactl"), "this machine has NVIDIA's driver");
        using LaminaProcess run = await LaminaProcess.RunAsync(s_limit, "run", Model, "-p", "x", "--device", "cuda:0");
        Assert.Equal(1, run.ExitCode);
        Assert.Equal("lamina: cuda:0 needs NVIDIA's driver; libcuda.so.1 is not on this machine", run.Error.Trim());
    }

    private static async Task<JsonNode> RunAsync(string[] arguments)
    {
        using LaminaProcess run = await LaminaProcess.RunAsync(s_limit, arguments);
        Assert.True(run.ExitCode == 0, run.Error);
        return JsonNode.Parse(run.Output)!;
    }
}
