using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A model whose file is replaced by another and rolled.</summary>
public sealed class ChangedFileTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-changed-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A process that stands still for seconds loses a pipeline that nobody took away, which its epochs tell; then once more.</summary>
    [Fact]
    public async Task Roll_OfAReplacedFile_RunningAnswersEndAsTheyBeganAndNewOnesAreOfTheNewModel()
    {
        int attempts = 0;
        while (!await RollAsync(mayBeDisturbed: ++attempts < 4))
        {
        }
    }

    /// <returns>Whether no pipeline was lost meanwhile; if one was, nothing is held to anything.</returns>
    private async Task<bool> RollAsync(bool mayBeDisturbed)
    {
        string file = Path.Combine(_folder, "tiny.gguf");
        byte[] content = await File.ReadAllBytesAsync(Repository.File("models/lamina-tiny-q8_0.gguf"));
        await File.WriteAllBytesAsync(file, content);
        await using TestCell cell = await TestCell.StartAsync(new ModelOptions { Name = "tiny", Path = file }, "node-1");
        await cell.ReadyAsync("tiny");
        string before = await FingerprintAsync(cell);
        GenerationProtocol.GenerationEnded whole = await StartAsync(cell, 1, new GenerationFlow(1000), out List<int> expected, before).WaitAsync(s_limit);
        Assert.Equal(GenerationOutcome.Length, whole.Outcome);

        // A file that is no model is refused, with the reason, and changes nothing.
        await ReplaceAsync(file, content[..1000]);
        string? problem = await cell.Cell.ReplanAsync("tiny", roll: true);
        Assert.NotNull(problem);
        Assert.Equal(before, await FingerprintAsync(cell));
        if (mayBeDisturbed && cell.Cell.Deployments[0].Epoch > 1)
        {
            return false;
        }

        Assert.Equal(1, cell.Cell.Deployments[0].Epoch);

        // One weight of the last tensor differs.
        var flow = new GenerationFlow(2);
        Task<GenerationProtocol.GenerationEnded> running = StartAsync(cell, 2, flow, out List<int> tokens, before);
        await UntilAsync(() => tokens.Count > 0);
        content[^1] ^= 1;
        await ReplaceAsync(file, content);
        Assert.Null(await cell.Cell.ReplanAsync("tiny", roll: true));
        await cell.UntilAsync(view => view.Phase == DeploymentPhase.Ready && view.Epoch >= 2);
        string after = await FingerprintAsync(cell);
        flow.Take(1000);
        GenerationProtocol.GenerationEnded ended = await running.WaitAsync(s_limit);
        if (mayBeDisturbed && cell.Cell.Deployments[0].Epoch > 2)
        {
            return false;
        }

        Assert.NotEqual(before, after);
        Assert.Equal(GenerationOutcome.Length, ended.Outcome);
        Assert.Equal(expected, tokens);
        Assert.Equal((2, after), (cell.Cell.Deployments[0].Epoch, await FingerprintAsync(cell)));
        return true;
    }

    /// <summary>A generation of the model that serves, past the HTTP layer; held to it as a request is.</summary>
    private static Task<GenerationProtocol.GenerationEnded> StartAsync(TestCell cell, ulong id, GenerationFlow flow, out List<int> tokens, string fingerprint)
    {
        string digest = cell.Cell.FindModel("tiny")!.Stored.Digest.ToString();
        Assert.Contains(fingerprint["lamina-".Length..], digest, StringComparison.Ordinal);
        List<int> received = tokens = [];
        var submit = new GenerationProtocol.Submit(
            TestCoordinator.Tenant, new GenerationId(1, id), [5, 6, 7, 8], [], 40, [], SamplingSettings.From(new SamplingParameters { Temperature = 0 }), 0);
        return cell.Cell.GenerateAsync(
            "tiny",
            submit,
            report =>
            {
                lock (received)
                {
                    received.AddRange(report.Tokens);
                }
            },
            CancellationToken.None,
            flow,
            digest);
    }

    private static async Task<string> FingerprintAsync(TestCell cell)
    {
        JsonElement answer = await cell.PostAsync("/v1/chat/completions", CellTests.Chat("What is 2 + 3?"));
        return answer.GetProperty("system_fingerprint").GetString()!;
    }

    private static async Task ReplaceAsync(string file, byte[] content)
    {
        await File.WriteAllBytesAsync(file + ".new", content);
        File.Move(file + ".new", file, overwrite: true);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        while (!condition())
        {
            await Task.Delay(10, deadline.Token);
        }
    }
}
