using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Tests.Support;
using Lamina.Node;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>
/// A cell of two coordinators and two nodes, each node a pipeline of its own. A process that stands still for seconds, as beside the other tests of the suite, loses a pipeline that nobody took
/// away, and answers of a replaced model with it: LAMINA_TEST_LONG=1 runs it, alone. What it shows of the state is shown after every event in SeveralPipelinesTests.
/// </summary>
public sealed class OwnerChangeTests : IAsyncDisposable
{
    private readonly TwoCoordinators _fronts = TwoCoordinators.Create("front-1", "front-2", "node-1", "node-2");
    private readonly List<NodeHost> _nodes = [];

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Select(node => node.DisposeAsync().AsTask()));
        await _fronts.DisposeAsync();
    }

    [Fact]
    public async Task Roll_OfAReplacedFileAndItsOwnerStopsBetweenTwoPipelines_TheNextOwnerRollsTheOther()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1", "needs a machine with nothing else to do; LAMINA_TEST_LONG=1 runs it");
        byte[] content = await File.ReadAllBytesAsync(Repository.File("models/lamina-tiny-q8_0.gguf"));
        await File.WriteAllBytesAsync(ModelFile, content);
        await _fronts.StartAsync((_, options) => options with { Models = [CellTests.Tiny(nodes: 1) with { Path = ModelFile, Pipelines = 2 }] });
        await Task.WhenAll(StartNodeAsync("node-1"), StartNodeAsync("node-2"));
        Cell first = _fronts["front-1"];
        await UntilAsync(first, view => Epochs(view) is [1, 2]);
        string owner = first.OwnerOf("tiny");
        Cell other = _fronts[_fronts.OtherThan(owner)];
        await UntilAsync(other, view => Epochs(view) is [1, 2] && Enumerable.Range(1, 2).All(epoch => other.LoadOf("tiny", epoch).KvBlocks > 0));

        // An answer on each pipeline, paused by its reader: the pipeline that is replaced first cannot drain, so the roll stays between the two.
        Answer[] answers = [await AnswerAsync(other, 5), await AnswerAsync(other, 6)];
        string before = other.FindModel("tiny")!.Fingerprint;

        // One weight of the last tensor differs. Both coordinators see the file; one is asked to look at it.
        content[^1] ^= 1;
        await File.WriteAllBytesAsync(ModelFile + ".new", content);
        File.Move(ModelFile + ".new", ModelFile, overwrite: true);
        Assert.Null(await _fronts[owner].ReplanAsync("tiny", roll: true));
        await UntilAsync(other, view => Epochs(view) is [2, 3] && other.FindModel("tiny")!.Fingerprint != before);
        string after = other.FindModel("tiny")!.Fingerprint;
        Assert.Equal(after, _fronts[owner].FindModel("tiny")!.Fingerprint);
        await _fronts.StopAsync(owner);
        await UntilAsync(other, _ => other.OwnerOf("tiny") == _fronts.OtherThan(owner));
        foreach (Answer answer in answers)
        {
            answer.Flow.Take(1000);
        }

        foreach (Answer answer in answers)
        {
            GenerationProtocol.GenerationEnded ended = await answer.Ended.WaitAsync(TwoCoordinators.Patience);
            Assert.Equal((GenerationOutcome.Length, 40, ""), (ended.Outcome, ended.Tokens, ended.Reason));
        }

        await UntilAsync(other, view => Epochs(view) is [> 2, > 2]);
        Assert.Equal(after, other.FindModel("tiny")!.Fingerprint);
        Answer last = await AnswerAsync(other, 7);
        last.Flow.Take(1000);
        Assert.Equal(GenerationOutcome.Length, (await last.Ended.WaitAsync(TwoCoordinators.Patience)).Outcome);
    }

    private string ModelFile => Path.Combine(_fronts.Folder, "tiny.gguf");

    private sealed record Answer(GenerationFlow Flow, Task<GenerationProtocol.GenerationEnded> Ended);

    /// <summary>A generation that stands still after its first tokens.</summary>
    private static async Task<Answer> AnswerAsync(Cell cell, int token)
    {
        var flow = new GenerationFlow(window: 2);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var submit = new GenerationProtocol.Submit(
            TestCoordinator.Tenant, new GenerationId(1, (ulong)token), [.. Enumerable.Repeat(token, 8)], [], 40, [], SamplingSettings.From(new SamplingParameters { Temperature = 0 }), 0);
        Task<GenerationProtocol.GenerationEnded> ended = cell.GenerateAsync("tiny", submit, _ => begun.TrySetResult(), CancellationToken.None, flow, cell.FindModel("tiny")!.Stored.Digest.ToString());
        await begun.Task.WaitAsync(TwoCoordinators.Patience);
        return new Answer(flow, ended);
    }

    private static int[] Epochs(DeploymentView view) => view.Phase == DeploymentPhase.Ready ? [.. view.Stages.Select(stage => stage.Epoch).Order()] : [];

    private static Task UntilAsync(Cell cell, Func<DeploymentView, bool> wanted) => TwoCoordinators.UntilAsync(() => wanted(cell.Deployments[0]));

    private async Task StartNodeAsync(string name)
    {
        CertificateFiles files = _fronts.Pki.Files(PeerRole.Node, name);
        NodeHost node = await NodeHost.StartAsync(
            new NodeOptions
            {
                Tenant = TestCoordinator.Tenant, Name = new NodeName(name), CertificatePath = files.CertificatePath, KeyPath = files.KeyPath, TrustBundlePath = files.TrustBundlePath,
                Seeds = _fronts.Seeds, CachePath = Path.Combine(_fronts.Folder, name), Threads = 1, MemoryBytes = 1L << 30,
            },
            NullLoggerFactory.Instance,
            CancellationToken.None);
        lock (_nodes)
        {
            _nodes.Add(node);
        }
    }
}
