using System.Diagnostics;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Generations;

/// <summary>How one submission to a head ended: as the head says, or by a loss after which another head may go on.</summary>
internal readonly record struct AttemptResult(GenerationProtocol.GenerationEnded? Ended, string? LossReason);

/// <summary>
/// One generation while it runs. Its state changes under its lock, on the thread of the link that reports; what an attempt reports after it was given up is dropped.
/// </summary>
/// <param name="metrics">Told of losses and of how long they held the tokens up.</param>
internal sealed class GenerationRun(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, GenerationFlow? flow = null, GenerationMetrics? metrics = null)
{
    private readonly Lock _lock = new();
    private GenerationState _state = GenerationState.Start(submit);
    private GenerationAttempt? _current;
    private long _progressAt = Stopwatch.GetTimestamp();
    private bool _isStalled;

    public GenerationId Id => submit.Generation;

    /// <summary>Null when it never waits for whoever takes its tokens.</summary>
    public GenerationFlow? Flow => flow;

    public GenerationState State
    {
        get
        {
            lock (_lock)
            {
                return _state;
            }
        }
    }

    /// <summary>Of a submission that pools: what came of its prompt, once it has ended.</summary>
    public float[]? Embedding { get; private set; }

    public GenerationAttempt BeginAttempt()
    {
        lock (_lock)
        {
            _state = _state.NextAttempt();
            _current = new GenerationAttempt(this, _state.Resume());
            return _current;
        }
    }

    /// <summary>After this no report of the attempt counts.</summary>
    public void EndAttempt(GenerationAttempt attempt)
    {
        lock (_lock)
        {
            if (_current == attempt)
            {
                _current = null;
            }
        }
    }

    /// <summary>Its pipeline was lost: until its next token the caller waits.</summary>
    public void NoteLoss()
    {
        metrics?.CountFailover(submit.Tenant);
        lock (_lock)
        {
            _isStalled = true;
        }
    }

    /// <summary>Takes the embedding of a submission that asked for one.</summary>
    internal bool Embed(GenerationAttempt attempt, float[] values)
    {
        lock (_lock)
        {
            Embedding = _current == attempt && submit.Pool ? values : Embedding;
            NoteProgress();
            return submit.Pool;
        }
    }

    /// <summary>Takes tokens; false when they cannot belong to the stream.</summary>
    internal bool Accept(GenerationAttempt attempt, GenerationProtocol.TokensGenerated report)
    {
        lock (_lock)
        {
            if (_current != attempt)
            {
                return true;
            }

            _state = _state.Accept(report, out GenerationProtocol.TokensGenerated? fresh);
            if (fresh is { Tokens.Length: > 0 })
            {
                NoteProgress();
                onTokens(fresh);
            }

            return fresh is not null;
        }
    }

    private void NoteProgress()
    {
        long now = Stopwatch.GetTimestamp();
        if (_isStalled)
        {
            metrics?.ObserveStall(submit.Tenant, Stopwatch.GetElapsedTime(_progressAt, now));
        }

        (_progressAt, _isStalled) = (now, false);
    }
}

/// <summary>One submission of a generation to one head.</summary>
internal sealed class GenerationAttempt(GenerationRun run, GenerationProtocol.Submit submit)
{
    private readonly TaskCompletionSource<AttemptResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public GenerationProtocol.Submit Submit { get; } = submit;

    public GenerationFlow? Flow => run.Flow;

    public Task<AttemptResult> Result => _result.Task;

    public void OnTokens(GenerationProtocol.TokensGenerated report)
    {
        if (!run.Accept(this, report))
        {
            Lose("the head reported tokens that do not continue the stream");
        }
    }

    public void OnEmbedded(float[] values)
    {
        if (!run.Embed(this, values))
        {
            Lose("the head reported an embedding that nobody asked for");
        }
    }

    public void OnEnded(GenerationProtocol.GenerationEnded ended)
    {
        int emitted = run.State.Emitted.Count;
        if (ended.Outcome is GenerationOutcome.Stop or GenerationOutcome.Length && ended.Tokens != emitted)
        {
            Lose($"the head ended the stream after {ended.Tokens} tokens, {emitted} of which have arrived");
            return;
        }

        _result.TrySetResult(ended.Outcome == GenerationOutcome.Failed ? new AttemptResult(null, ended.Reason) : new AttemptResult(ended, null));
    }

    public void Lose(string reason) => _result.TrySetResult(new AttemptResult(null, reason));
}
