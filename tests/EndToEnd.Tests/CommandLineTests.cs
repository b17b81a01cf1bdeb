using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>What goes wrong for a user: one clear sentence, the right exit code, nothing left behind.</summary>
public sealed class CommandLineTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    private static string Model => Repository.File("models/lamina-tiny-q8_0.gguf");

    [Theory]
    [InlineData("run")]
    [InlineData("frobnicate")]
    [InlineData("run", "model.gguf", "--nodes", "many")]
    [InlineData("bench", "model.gguf", "--unknown")]
    [InlineData("run", "--unknown")]
    public async Task WrongUsage_Exits2WithASentence(params string[] arguments)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments);
        Assert.Equal(2, process.ExitCode);
        Assert.StartsWith("lamina: ", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("run", "/nowhere/model.gguf", "-p", "x")]
    [InlineData("inspect", "/nowhere/model.gguf")]
    [InlineData("serve", "/nowhere/model.gguf")]
    [InlineData("tokenize", "/nowhere/model.gguf", "x")]
    public async Task MissingFile_Exits1NamingIt(params string[] arguments)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments);
        AssertOneSentence(process, "model.gguf");
    }

    [Fact]
    public async Task Serve_PortInUse_Exits1NamingThePort()
    {
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        using TemporaryFolder temporary = new();
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, ["serve", Model, "--listen", $"127.0.0.1:{port}"], temporary.Environment);
        AssertOneSentence(process, $"{port}");
        Assert.Empty(temporary.Entries);
    }

    [Fact]
    public async Task Bench_TooLittleMemory_Exits1WithNeedAndLimit()
    {
        Dictionary<string, string> limited = new() { ["DOTNET_GCHeapHardLimit"] = "0xC800000" };
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, ["bench", Model, "-p", "4", "-n", "4", "--concurrency", "256"], limited);
        AssertOneSentence(process, "this process may use 160 MiB");
    }

    [Fact]
    public async Task Run_ThroughAnAdapter_AnswersDifferentlyByItsScaleAndInAnyNumberOfStages()
    {
        using TemporaryFolder temporary = new();
        string model = Path.Combine(temporary.Path, "model.gguf"), adapter = Path.Combine(temporary.Path, "adapter.gguf");
        await Succeed("synth", model, "--type", "F16");
        await Succeed("synth", adapter, "--adapter-of", model);
        string[] run = ["run", model, "--tokens", "5,6,7,8", "-n", "8", "--temp", "0", "--json"];
        string plain = await Tokens(run), adapted = await Tokens([.. run, "--lora", adapter]);
        Assert.NotEqual(plain, adapted);
        Assert.Equal(plain, await Tokens([.. run, "--lora", adapter + "=0"]));
        Assert.Equal(adapted, await Tokens([.. run, "--lora", adapter + "=1", "--stages", "0-1,2-3"]));
        using LaminaProcess refused = await LaminaProcess.RunAsync(s_limit, [.. run, "--lora", model]);
        AssertOneSentence(refused, "expected adapter");

        static async Task<string> Succeed(params string[] arguments)
        {
            using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments);
            Assert.True(process.ExitCode == 0, process.Error);
            return process.Output;
        }

        static async Task<string> Tokens(string[] arguments) => JsonNode.Parse(await Succeed(arguments))!["tokens"]!.ToJsonString();
    }

    [Fact]
    public async Task Run_ContextBeyondTheModel_IsRefused()
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, "run", Model, "-p", "x", "--context", "100000");
        Assert.Equal(2, process.ExitCode);
        Assert.Contains("512", process.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_InvalidConfiguration_Exits1NamingTheKey()
    {
        string folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
        try
        {
            string file = Path.Combine(folder, "node.json");
            await File.WriteAllTextAsync(file, """{"Node": {"Tenant": "acme", "Name": "Not A Name", "CertificatePath": "a", "KeyPath": "b", "TrustBundlePath": "c", "Seeds": ["127.0.0.1:1"], "CachePath": "d"}}""");
            using LaminaProcess invalid = await LaminaProcess.RunAsync(s_limit, "node", "--config", file);
            AssertOneSentence(invalid, "Not A Name");
            await File.WriteAllTextAsync(file, """{"Node": {"Tenant": "acme", "Colour": "red"}}""");
            using LaminaProcess unknown = await LaminaProcess.RunAsync(s_limit, "node", "--config", file);
            AssertOneSentence(unknown, "Colour");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Serve_FromAConfigurationFile_ServesTheModelsItNames()
    {
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "serve.json");
        await File.WriteAllTextAsync(file, System.Text.Json.JsonSerializer.Serialize(new { Serve = new { Listen = "127.0.0.1:0", Nodes = 2, Models = new[] { new { Name = "Tiny_1.0", Path = Model } } } }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        await serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(180));
        await serve.WaitForLineAsync("Tiny_1.0: 2 stages", s_limit);
        Assert.Equal(2, ProcessTable.Children(serve.Id).Length);
    }

    /// <summary>At several moments of the start, the last being when everything stands.</summary>
    [Theory]
    [InlineData(200)]
    [InlineData(900)]
    [InlineData(2000)]
    [InlineData(null)]
    public async Task Serve_CtrlC_StopsEverything(int? afterMilliseconds)
    {
        using TemporaryFolder temporary = new();
        using LaminaProcess serve = LaminaProcess.Start(["serve", Model, "--nodes", "3", "--listen", "127.0.0.1:0"], temporary.Environment);
        if (afterMilliseconds is { } moment)
        {
            await Task.Delay(moment);
        }
        else
        {
            await serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(180));
        }

        int[] children = ProcessTable.Children(serve.Id);
        serve.Signal(PosixSignal.SIGINT);
        await serve.WaitForExitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains(serve.ExitCode, new[] { 0, 130 });
        Assert.DoesNotContain("   at ", serve.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(children, ProcessTable.IsAlive);
        Assert.Empty(temporary.Entries);
    }

    [Fact]
    public async Task Serve_Killed_ItsNodesEndByThemselves()
    {
        using LaminaProcess serve = LaminaProcess.Start("serve", Model, "--nodes", "2", "--listen", "127.0.0.1:0");
        await serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(180));
        int[] children = ProcessTable.Children(serve.Id);
        Assert.Equal(2, children.Length);
        LaminaProcess.Send(serve.Id, 9);
        await Eventually.TrueAsync(() => !children.Any(ProcessTable.IsAlive), TimeSpan.FromSeconds(60), "a node outlived the process that started it");
    }

    private static void AssertOneSentence(LaminaProcess process, string mustName)
    {
        Assert.Equal(1, process.ExitCode);
        string[] lines = process.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string last = lines[^1];
        Assert.StartsWith("lamina: ", last, StringComparison.Ordinal);
        Assert.Contains(mustName, last, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("internal error", process.Error, StringComparison.Ordinal);
    }
}
