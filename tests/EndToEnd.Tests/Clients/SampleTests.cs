using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>The samples do what their comments say.</summary>
[Collection(ServedOnce.Name)]
public sealed class SampleTests(ServedModel served)
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private Dictionary<string, string> Environment(string path) => new() { ["LAMINA_URL"] = new Uri(served.Http.BaseAddress!, path).ToString() };

    [Fact]
    public async Task ConsoleChat_TwoLines_AreAnsweredInTurn()
    {
        string output = await Tool.RunAsync(Built("ConsoleChat"), [], s_limit, environment: Environment(""), input: "What is 27 + 15?\nWhat is the capital of Norway?\n\n");
        Assert.Equal(2, output.TrimEnd().Split('\n').Length);
        Assert.StartsWith("27 + 15 = 42.", output, StringComparison.Ordinal);
        Assert.Contains("Oslo", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AkkaActors_ThreeQuestions_AreAnswered()
    {
        string output = await Tool.RunAsync(Built("AkkaActors"), [], s_limit, environment: Environment(""));
        Assert.Contains("What is 27 + 15? 27 + 15 = 42.", output, StringComparison.Ordinal);
        Assert.Contains("Oslo", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JavaScript_OpenAiSdk_Conforms()
    {
        string output = await JavaScriptAsync("openai-sdk.mjs", Environment("v1"));
        Assert.Equal(
            ["whole: 27 + 15 = 42.", "streamed: 27 + 15 = 42.", "unknown model: true model_not_found", "bad value: true temperature", "aborted after 3 events: true"],
            output.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task JavaScript_AiSdk_Conforms()
    {
        string output = await JavaScriptAsync("ai-sdk.mjs", Environment("v1"));
        Assert.Equal(["whole: 27 + 15 = 42.", "streamed: 27 + 15 = 42.", "usage: true", "unknown model: true 404"], output.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task JavaScript_Batch_IsAnswered()
    {
        string output = await JavaScriptAsync("batch.mjs", Environment("v1"));
        Assert.Equal(
            ["completed: 2 answered, 1 failed of 3", "question-0: 27 + 15 = 42.", "question-1: 12 + 20 = 32.", "wrong: 400 messages", "deleted: true"],
            output.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("openai_sdk.py", "whole: 27 + 15 = 42.\n27 + 15 = 42.\nunknown model: model_not_found")]
    [InlineData("batch.py", "completed: 2 answered of 2\nquestion-0: 27 + 15 = 42.\nquestion-1: 12 + 20 = 32.")]
    public async Task Python_OpenAiSdk_Conforms(string script, string expected)
    {
        Assert.SkipUnless(await HasPythonSdkAsync(), "Python with OpenAI's package 'openai' is not on this machine");
        Assert.Equal(expected, (await Tool.RunAsync("python3", [Repository.File($"samples/Python/{script}")], s_limit, environment: Environment("v1"))).TrimEnd());
    }

    private static async Task<bool> HasPythonSdkAsync()
    {
        try
        {
            return Tool.Exists("python3") && (await Tool.RunAsync("python3", ["-c", "import openai"], s_limit)).Length == 0;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    internal static string Built(string sample) => Path.Combine(Repository.Root, "artifacts", "bin", sample, "release", $"Lamina.{sample}");

    /// <summary>Runs a script where its packages are installed, once, under artifacts.</summary>
    internal static async Task<string> JavaScriptAsync(string script, IReadOnlyDictionary<string, string> environment)
    {
        Assert.SkipUnless(Tool.Exists("node") && Tool.Exists("npm"), "node and npm are not on this machine");
        string folder = Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts", "javascript")).FullName;
        foreach (string file in Directory.GetFiles(Repository.File("samples/JavaScript")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        }

        string manifest = await File.ReadAllTextAsync(Path.Combine(folder, "package.json"));
        string stamp = Path.Combine(folder, "installed.json");
        if (!File.Exists(stamp) || await File.ReadAllTextAsync(stamp) != manifest)
        {
            try
            {
                await Tool.RunAsync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], s_limit, folder);
            }
            catch (InvalidOperationException e)
            {
                Assert.Skip($"the JavaScript packages cannot be installed here: {e.Message.Split('\n')[0]}");
            }

            await File.WriteAllTextAsync(stamp, manifest);
        }

        return await Tool.RunAsync("node", [script], s_limit, folder, environment);
    }
}
