using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;
using Lamina.Node.Pipeline;
using Lamina.Node.Tests.Support;

namespace Lamina.Node.Tests.Pipeline;

public sealed class AllocationTests : IDisposable
{
    private readonly TinyModel _model = new();

    public void Dispose() => _model.Dispose();

    [Theory, InlineData(false), InlineData(true)]
    public async Task Decoding_OnceWarm_AllocatesNothingOnTheComputeThread(bool sampled)
    {
        var settings = new StageSettings(512, 32, 4, 64, 64, 1, 1);
        ModelShape shape = ModelShape.FromGguf(_model.File.Metadata);
        var executor = new StageExecutor(Stage.Load(_model.File, shape, new LayerRange(0, TinyModel.Layers), StageSetup.Options(settings)), settings);
        using var head = new PipelineHead(executor, settings, 1, null, _ => { });
        var owner = new Counter();
        head.Submit(Generations.Request(Generations.Prompt(1, 40), 400, sampled ? Generations.Seeded(3) : Generations.Greedy), owner);
        await owner.Ended.Task.WaitAsync(Generations.Deadline);

        // A sequence's block list and history double now and then, and each full block is entered in the prefix cache: a few hundred bytes every 32 tokens.
        Assert.InRange(owner.BytesBetween(122, 150), 0, 0);
        Assert.InRange(owner.BytesBetween(100, 390), 0, 290 * 64);
    }

    private sealed class Counter : IGenerationOwner
    {
        private readonly long[] _allocated = new long[400];

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public long BytesBetween(int first, int last) => _allocated[last] - _allocated[first];

        public void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top) => _allocated[index] = GC.GetAllocatedBytesForCurrentThread();

        public void OnEmbedded(GenerationId generation, ReadOnlySpan<float> values) => Ended.SetException(new InvalidOperationException("no embedding was asked for"));

        public void OnEnded(GenerationProtocol.GenerationEnded ended) => Ended.SetResult();

        public void OnLost(GenerationId generation, int emitted, string reason) => Ended.SetException(new InvalidOperationException(reason));
    }
}
