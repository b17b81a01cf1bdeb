using System.Diagnostics;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Generations;

/// <summary>
/// Runs one deployment's generations: chooses a pipeline that serves by what it computed before and by load, and after a loss waits for the next epoch and goes on there with prompt and
/// emitted tokens. Thread-safe.
/// </summary>
/// <param name="deployment">Its name in metrics.</param>
internal sealed class GenerationRouter(GenerationLimits limits, string deployment = "") : IDisposable
{
    private readonly GenerationMetrics _metrics = new(deployment);
    private readonly Lock _lock = new();
    private readonly Dictionary<int, IReadOnlyList<HeadLink>> _epochs = [];

    /// <summary>Digest of the model that an epoch's pipeline holds, where it is known.</summary>
    private readonly Dictionary<int, string> _models = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<int> _serving = [];
    private readonly PrefixDirectory<HeadLink> _prefixes = new(capacity: 16_384);
    private readonly LanePlaces _places = new(limits.MaxActive);
    private bool _disposed;
    private string? _hopeless;

    /// <summary>Generations that are running or wait for a pipeline.</summary>
    public int Active => _places.Held;

    /// <summary>Sum of what the serving heads report.</summary>
    public GenerationProtocol.HeadLoad Load => Sum(ServingHeads());

    /// <summary>What the heads of one epoch report; zeros where none of its links is held.</summary>
    public GenerationProtocol.HeadLoad LoadOf(int epoch)
    {
        lock (_lock)
        {
            return Sum(_epochs.GetValueOrDefault(epoch, []));
        }
    }

    /// <summary>Epochs whose links are held.</summary>
    public IReadOnlyList<int> Epochs
    {
        get
        {
            lock (_lock)
            {
                return [.. _epochs.Keys];
            }
        }
    }

    /// <summary>An epoch's links, or null when there are none or one is closed.</summary>
    public IReadOnlyList<HeadLink>? OpenHeads(int epoch)
    {
        lock (_lock)
        {
            return _epochs.TryGetValue(epoch, out IReadOnlyList<HeadLink>? heads) && heads.All(head => !head.Closed.IsCompleted) ? heads : null;
        }
    }

    /// <summary>Whether an epoch that serves holds this model.</summary>
    public bool Serves(string model)
    {
        lock (_lock)
        {
            return _serving.Any(epoch => _models.GetValueOrDefault(epoch) == model);
        }
    }

    /// <summary>Whether links to an epoch of this model are held.</summary>
    public bool Holds(string model)
    {
        lock (_lock)
        {
            return _models.ContainsValue(model);
        }
    }

    /// <summary>Takes an epoch's open links, in place of those it had; it serves once <see cref="Serve"/> says so.</summary>
    /// <param name="model">Digest of the model that its pipeline holds.</param>
    public void Add(int epoch, IReadOnlyList<HeadLink> heads, string? model = null)
    {
        IReadOnlyList<HeadLink> unused = heads;
        lock (_lock)
        {
            if (!_disposed)
            {
                unused = _epochs.GetValueOrDefault(epoch, []);
                _epochs[epoch] = heads;
                if (model is not null)
                {
                    _models[epoch] = model;
                }
            }
        }

        if (!ReferenceEquals(unused, heads))
        {
            Close(unused);
        }
        else if (_disposed)
        {
            Close(heads);
        }
    }

    public void Serve(int epoch)
    {
        lock (_lock)
        {
            _serving.Add(epoch);
            SignalChange();
        }
    }

    /// <summary>While there is a reason why no pipeline can come, generations without one end with it instead of waiting; those whose pipeline stands go on.</summary>
    public void SetHopeless(string? reason)
    {
        lock (_lock)
        {
            if (_hopeless != reason)
            {
                _hopeless = reason;
                SignalChange();
            }
        }
    }

    /// <summary>Closes an epoch's links; its generations move on.</summary>
    public void Stop(int epoch)
    {
        IReadOnlyList<HeadLink>? heads;
        lock (_lock)
        {
            _epochs.Remove(epoch, out heads);
            _serving.Remove(epoch);
            if (_models.Remove(epoch))
            {
                SignalChange();
            }
        }

        Close(heads ?? []);
    }

    /// <summary>Completes when a replaced epoch has no generations left, or when they have had their time; then its links are closed.</summary>
    /// <param name="hurried">Whether a node of the epoch is leaving: then they have less time.</param>
    public async Task DrainAsync(int epoch, bool hurried, CancellationToken cancellation)
    {
        IReadOnlyList<HeadLink> heads;
        bool isOfOldModel;
        lock (_lock)
        {
            heads = _epochs.GetValueOrDefault(epoch) ?? [];
            _serving.Remove(epoch);
            isOfOldModel = _models.TryGetValue(epoch, out string? model) && HasOther(model);
        }

        // Nobody else can go on with what this model began, and requests that were made into its tokens are on their way.
        long began = Environment.TickCount64;
        long grace = began + (long)(isOfOldModel && !hurried ? limits.ChangeGrace : TimeSpan.Zero).TotalMilliseconds;
        long deadline = began + (long)(hurried ? limits.HurriedDrainTime : isOfOldModel ? limits.ChangeDrainTime : limits.DrainTime).TotalMilliseconds;
        while ((heads.Any(head => head.Running > 0) || Environment.TickCount64 < grace) && Environment.TickCount64 < deadline && !cancellation.IsCancellationRequested)
        {
            await Task.Delay(50, CancellationToken.None);
        }

        Stop(epoch);
    }

    /// <summary>
    /// Runs a generation to its end. Never throws for what happens to pipelines: the outcome says it. <paramref name="onTokens"/> is called on a link's thread, in
    /// order and with each index once, and must not block.
    /// </summary>
    /// <param name="model">Digest of the model that the prompt's tokens are of: no pipeline of another gets them. Null takes any.</param>
    /// <param name="began">Told the epoch of each attempt before its head is.</param>
    public Task<GenerationProtocol.GenerationEnded> RunAsync(
        GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation, GenerationFlow? flow = null, string? model = null, Action<int>? began = null) =>
        RunCountedAsync(new GenerationRun(submit, onTokens, flow, _metrics), submit, model, began, cancellation);

    /// <summary>As <see cref="RunAsync"/>, for the embedding of a prompt; null unless the outcome is Stop.</summary>
    public async Task<(GenerationProtocol.GenerationEnded Ended, float[]? Embedding)> EmbedAsync(
        GenerationProtocol.Submit submit, CancellationToken cancellation, string? model = null, Action<int>? began = null)
    {
        GenerationProtocol.Submit pooled = submit with { Pool = true };
        var run = new GenerationRun(pooled, _ => { }, metrics: _metrics);
        GenerationProtocol.GenerationEnded ended = await RunCountedAsync(run, pooled, model, began, cancellation);
        return (ended, run.Embedding);
    }

    private async Task<GenerationProtocol.GenerationEnded> RunCountedAsync(GenerationRun run, GenerationProtocol.Submit submit, string? model, Action<int>? began, CancellationToken cancellation)
    {
        if (!_places.TryTake(submit.Lane))
        {
            return Ended(submit, GenerationOutcome.Refused, submit.EmittedTokens.Length, $"{_places.Held} generations are running or waiting already");
        }

        try
        {
            return await RunAsync(run, submit, model, began, cancellation);
        }
        finally
        {
            _places.Return(submit.Lane);
        }
    }

    public void Dispose()
    {
        List<HeadLink> heads;
        lock (_lock)
        {
            _disposed = true;
            heads = [.. _epochs.Values.SelectMany(links => links)];
            _epochs.Clear();
            _serving.Clear();
            _models.Clear();
            SignalChange();
        }

        Close(heads);
    }

    private async Task<GenerationProtocol.GenerationEnded> RunAsync(GenerationRun run, GenerationProtocol.Submit submit, string? model, Action<int>? began, CancellationToken cancellation)
    {
        string reason = "no pipeline is ready";
        while (true)
        {
            GenerationState state = run.State;
            if (state.IsComplete)
            {
                return Ended(submit, GenerationOutcome.Length, state.Emitted.Count, "");
            }

            if (state.Attempt >= limits.MaxAttempts)
            {
                return Ended(submit, GenerationOutcome.Failed, state.Emitted.Count, $"given up after {state.Attempt} pipelines were lost: {reason}");
            }

            HeadLink? head = await NextHeadAsync(submit.PromptTokens, model, cancellation);
            if (cancellation.IsCancellationRequested)
            {
                return Ended(submit, GenerationOutcome.Cancelled, run.State.Emitted.Count, "");
            }

            if (head is null && Hopeless is { } hopeless)
            {
                return Ended(submit, GenerationOutcome.Failed, run.State.Emitted.Count, hopeless);
            }

            if (head is null && IsReplaced(model))
            {
                return Ended(submit, GenerationOutcome.ModelReplaced, run.State.Emitted.Count, "the deployment serves another model now");
            }

            if (head is null)
            {
                return Ended(submit, GenerationOutcome.Failed, run.State.Emitted.Count, $"no pipeline was ready within {limits.RecoveryTime.TotalSeconds:0} s: {reason}");
            }

            began?.Invoke(head.Epoch);
            AttemptResult result = await TryAsync(head, run, submit, cancellation);
            if (result.Ended is { } ended)
            {
                return ended;
            }

            reason = result.LossReason!;
            run.NoteLoss();
            Activity.Current?.AddEvent(new ActivityEvent("failover"));
        }
    }

    private static async Task<AttemptResult> TryAsync(HeadLink head, GenerationRun run, GenerationProtocol.Submit submit, CancellationToken cancellation)
    {
        GenerationAttempt attempt = run.BeginAttempt();
        head.Submit(attempt);
        try
        {
            return await attempt.Result.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            return new AttemptResult(Ended(submit, GenerationOutcome.Cancelled, run.State.Emitted.Count, ""), null);
        }
        finally
        {
            // Does nothing when the head ended it.
            run.EndAttempt(attempt);
            head.Cancel(submit.Tenant, submit.Generation);
        }
    }

    /// <summary>A head of the serving epoch; waits for one as long as a recovery may take. Null after that, when none can come, and on cancellation.</summary>
    private async Task<HeadLink?> NextHeadAsync(int[] prompt, string? model, CancellationToken cancellation)
    {
        long deadline = Environment.TickCount64 + (long)limits.RecoveryTime.TotalMilliseconds;
        while (!cancellation.IsCancellationRequested)
        {
            Task changed;
            lock (_lock)
            {
                changed = _changed.Task;
                if (_disposed)
                {
                    return null;
                }
            }

            HeadLink? head = Choose(prompt, model);
            if (head is not null)
            {
                return head;
            }

            TimeSpan left = TimeSpan.FromMilliseconds(deadline - Environment.TickCount64);
            if (left <= TimeSpan.Zero || Hopeless is not null || IsReplaced(model))
            {
                return null;
            }

            try
            {
                await changed.WaitAsync(left, cancellation);
            }
            catch (Exception e) when (e is TimeoutException or OperationCanceledException)
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>
    /// The pipeline that computed the longest beginning of the prompt, unless it has much more to do than the one that has least: then that one.
    /// </summary>
    private HeadLink? Choose(int[] prompt, string? model)
    {
        HeadLink[] open = [.. HeadsFor(model).Where(link => !link.Closed.IsCompleted)];
        if (open.Length <= 1)
        {
            return open.FirstOrDefault();
        }

        HeadLink idlest = open.MinBy(Burden)!;
        lock (_prefixes)
        {
            HeadLink? known = _prefixes.Find(prompt, open.Contains);
            HeadLink chosen = known is not null && Burden(known) <= Burden(idlest) + limits.LocalitySlack ? known : idlest;
            _prefixes.Remember(prompt, chosen);
            return chosen;
        }
    }

    private static GenerationProtocol.HeadLoad Sum(IReadOnlyList<HeadLink> heads) => new(
        heads.Sum(head => head.Load.Running), heads.Sum(head => head.Load.Waiting), heads.Sum(head => head.Load.FreeKvBlocks),
        heads.Sum(head => head.Load.KvBlocks), heads.Sum(head => head.Load.TokensPerSecond));

    private static int Burden(HeadLink head) => head.Running + head.Load.Waiting;

    private string? Hopeless
    {
        get
        {
            lock (_lock)
            {
                return _hopeless;
            }
        }
    }

    private IReadOnlyList<HeadLink> ServingHeads()
    {
        lock (_lock)
        {
            return [.. _serving.Where(_epochs.ContainsKey).SelectMany(epoch => _epochs[epoch])];
        }
    }

    /// <summary>Serving heads of the model; where only others serve, those of its epochs that are drained.</summary>
    private IReadOnlyList<HeadLink> HeadsFor(string? model)
    {
        if (model is null)
        {
            return ServingHeads();
        }

        lock (_lock)
        {
            HeadLink[] serving = [.. _serving.Where(epoch => _epochs.ContainsKey(epoch) && (!_models.TryGetValue(epoch, out string? other) || other == model)).SelectMany(epoch => _epochs[epoch])];
            return serving.Length > 0 || !HasOther(model) ? serving : [.. _models.Where(pair => pair.Value == model).SelectMany(pair => _epochs[pair.Key])];
        }
    }

    /// <summary>Whether a pipeline of another model serves; under the lock.</summary>
    private bool HasOther(string model) => _serving.Any(epoch => _models.TryGetValue(epoch, out string? other) && other != model);

    private bool IsReplaced(string? model)
    {
        lock (_lock)
        {
            return model is not null && HasOther(model) && !_models.ContainsValue(model);
        }
    }

    private void SignalChange()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private static void Close(IEnumerable<HeadLink> heads)
    {
        foreach (HeadLink head in heads)
        {
            head.Dispose();
        }
    }

    private static GenerationProtocol.GenerationEnded Ended(GenerationProtocol.Submit submit, GenerationOutcome outcome, int tokens, string reason) =>
        new(submit.Generation, outcome, tokens, 0, reason);
}

/// <summary>Bounds of a deployment's generations.</summary>
internal sealed record GenerationLimits
{
    /// <summary>Generations that may run or wait; one lane alone may have half of them.</summary>
    public int MaxActive { get; init; } = 1024;

    /// <summary>Pipelines that one generation may lose before it is taken for the cause.</summary>
    public int MaxAttempts { get; init; } = 4;

    /// <summary>Generations that a pipeline may have more than the idlest and still be chosen for what its prefix cache holds.</summary>
    public int LocalitySlack { get; init; } = 4;

    /// <summary>How long a generation waits for the next epoch.</summary>
    public TimeSpan RecoveryTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a replaced epoch may finish its generations; those that are left move on.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The same where the next epoch holds another model: those that are left end.</summary>
    public TimeSpan ChangeDrainTime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a replaced epoch stays, where the next holds another model, for requests that were read before.</summary>
    public TimeSpan ChangeGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The same when a node is leaving and waits for that.</summary>
    public TimeSpan HurriedDrainTime { get; init; } = TimeSpan.FromSeconds(5);
}
