using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Compute.Sampling;
using Lamina.Node.Hosting;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Local;

/// <summary>
/// A whole pipeline inside this process, without cluster or network: what <c>lamina run</c> and <c>bench</c> use, and what tests compare with. Its stages,
/// scheduler and sampler are the same code that nodes run; only the links are queues in memory.
/// </summary>
public sealed class LocalEngine : IDisposable
{
    private readonly PipelineHead _head;
    private readonly List<StageRunner> _followers = [];

    /// <summary>What generations that name none pass through.</summary>
    private GenerationProtocol.AdapterSetting[]? _adapters;

    private LocalEngine(List<StageExecutor> executors, StageSettings settings)
    {
        // Built from the tail to the head: each stage is given its successor, and the tail the head's inbox through an indirection.
        var toHead = new LateSink();
        IFrameSink? next = null;
        for (int i = executors.Count - 1; i > 0; i--)
        {
            var runner = new StageRunner(executors[i], settings, next ?? toHead, Fail);
            _followers.Insert(0, runner);
            next = runner.Inbox;
        }

        _head = new PipelineHead(executors[0], settings, executors.Count, next, Fail);
        toHead.Target = _head.Sampled;
    }

    /// <summary>Bytes of weights and cache held.</summary>
    public long MemoryBytes { get; private init; }

    /// <summary>Tokens that sequences guessed ahead, and how many of them were right.</summary>
    public (long Made, long Right) Guesses => _head.Guesses;

    /// <param name="stages">Layer ranges of the stages, contiguous and complete; null = one stage.</param>
    /// <param name="adapters">What every generation passes through.</param>
    /// <param name="draft">A small model of the same vocabulary that guesses ahead; null = none.</param>
    /// <param name="device">Null for the processor; must outlive the engine.</param>
    public static LocalEngine Load(
        GgufFile model, StageSettings settings, IReadOnlyList<LayerRange>? stages = null, Action<long, long>? progress = null, IReadOnlyList<LocalAdapter>? adapters = null, GgufFile? draft = null,
        ComputeDevice? device = null)
    {
        ModelShape shape = ModelShape.FromGguf(model.Metadata);
        foreach (LocalAdapter adapter in adapters ?? [])
        {
            adapter.Check(model, shape);
        }

        return Load(model, shape, settings, stages, progress, model.Metadata, adapters, draft, device);
    }

    internal static LocalEngine Load(
        ITensorSource tensors,
        ModelShape shape,
        StageSettings settings,
        IReadOnlyList<LayerRange>? stages,
        Action<long, long>? progress,
        GgufMetadata? metadata = null,
        IReadOnlyList<LocalAdapter>? adapters = null,
        GgufFile? draft = null,
        ComputeDevice? device = null)
    {
        stages ??= [new LayerRange(0, shape.LayerCount)];
        CheckRanges(stages, shape.LayerCount);
        if (device is null or { MemoryBytes: 0 })
        {
            // A device with memory of its own checks it itself.
            CheckMemory(stages.Sum(range => Stage.RequiredBytes(tensors, shape, range, StageSetup.Options(settings))));
        }

        var executors = new List<StageExecutor>();
        try
        {
            for (int i = 0; i < stages.Count; i++)
            {
                int index = i;
                int layersBefore = stages.Take(i).Sum(r => r.Count);
                Action<long, long>? report = progress is null ? null : (done, total) =>
                {
                    // Stages load one after another: progress is in layers' share, scaled to this stage's bytes.
                    long all = total * shape.LayerCount / stages[index].Count;
                    progress((all * layersBefore / shape.LayerCount) + done, all);
                };
                DraftModel? drafter = i > 0 || draft is null ? null : StageSetup.LoadDraft(draft, ModelShape.FromGguf(draft.Metadata), shape, settings);
                executors.Add(StageSetup.Load(tensors, shape, stages[i], settings, metadata, report, drafter, device));
                LocalAdapter.AddTo(executors[i], adapters ?? []);
            }

            return new LocalEngine(executors, settings) { _adapters = adapters is { Count: > 0 } ? [.. adapters.Select((adapter, i) => new GenerationProtocol.AdapterSetting(i, adapter.Scale))] : null, MemoryBytes = executors.Sum(e => e.MemoryBytes) };
        }
        catch
        {
            executors.ForEach(e => e.Dispose());
            throw;
        }
    }

    private static void CheckMemory(long needed)
    {
        long limit = MachineMemory.Limit(configured: 0);
        if (needed > limit)
        {
            throw new InvalidOperationException(
                $"the model needs {needed >> 20} MiB for weights, cache and buffers, but this process may use {limit >> 20} MiB; a shorter context, fewer sequences or more machines would do");
        }
    }

    /// <summary>Thread-safe: generations submitted at the same time share steps. The callback runs on an engine thread and must not block.</summary>
    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation)
    {
        var caller = new Caller(onTokens);
        CancellationTokenRegistration registration = cancellation.Register(() => _head.Cancel(submit.Generation, caller));
        _head.Submit(submit with { Adapters = submit.Adapters ?? _adapters }, caller);
        caller.Ended.ContinueWith(_ => registration.Dispose(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        return caller.Ended;
    }

    /// <summary>The embedding of a submission's prompt. Thread-safe. Throws <see cref="ArgumentException"/> with one sentence when it is refused.</summary>
    public async Task<float[]> EmbedAsync(GenerationProtocol.Submit submit)
    {
        var caller = new Caller(_ => { });
        _head.Submit(submit with { Pool = true, Adapters = submit.Adapters ?? _adapters }, caller);
        GenerationProtocol.GenerationEnded ended = await caller.Ended.ConfigureAwait(false);
        return caller.Embedding ?? throw new ArgumentException(ended.Reason);
    }

    public void Dispose()
    {
        _head.Dispose();
        _followers.ForEach(f => f.Dispose());
    }

    private static void CheckRanges(IReadOnlyList<LayerRange> stages, int layerCount)
    {
        int next = 0;
        foreach (LayerRange range in stages)
        {
            if (range.First != next || range.Count < 1)
            {
                throw new ArgumentException($"layers {range} do not follow layer {next - 1}: stages are contiguous, in order and not empty");
            }

            next = range.End;
        }

        if (next != layerCount)
        {
            throw new ArgumentException($"the stages hold layers 0-{next - 1}, the model has 0-{layerCount - 1}");
        }
    }

    /// <summary>One stage's failure is the engine's: the head is told through its inbox and fails every generation.</summary>
    private void Fail(Exception exception) => _head?.Fail(exception);

    private sealed class Caller(Action<GenerationProtocol.TokensGenerated> onTokens) : IGenerationOwner
    {
        private readonly TaskCompletionSource<GenerationProtocol.GenerationEnded> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<GenerationProtocol.GenerationEnded> Ended => _ended.Task;

        public void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top)
        {
            try
            {
                onTokens(TokenEvents.Create(generation, index, token, logProb, top));
            }
            catch (Exception e)
            {
                // The caller's fault is the caller's alone: others share the thread.
                _ended.TrySetException(e);
            }
        }

        public float[]? Embedding { get; private set; }

        public void OnEmbedded(GenerationId generation, ReadOnlySpan<float> values) => Embedding = values.ToArray();

        public void OnEnded(GenerationProtocol.GenerationEnded ended) => _ended.TrySetResult(ended);

        public void OnLost(GenerationId generation, int emitted, string reason) =>
            OnEnded(new GenerationProtocol.GenerationEnded(generation, GenerationOutcome.Failed, emitted, 0, reason));
    }
}
