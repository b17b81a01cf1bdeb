using System.Collections.Concurrent;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Coordinator.Generations;

/// <summary>
/// The link to a pipeline's head. Submissions leave on a thread of their own, because sending waits for the head's credit; reports are handled on the link's
/// thread, which never waits.
/// </summary>
internal sealed class HeadLink : ILinkHandler, IDisposable
{
    private const int MaxQueued = 1024;

    private readonly Link _link;
    private readonly ConcurrentDictionary<GenerationId, GenerationAttempt> _running = new();
    private readonly BlockingCollection<GenerationAttempt> _outgoing = new(MaxQueued);
    private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private HeadLink(Link link, int epoch)
    {
        _link = link;
        Epoch = epoch;
    }

    /// <summary>Completes with the reason once the link is closed.</summary>
    public Task<string> Closed => _closed.Task;

    /// <summary>Of the plan that the pipeline is part of.</summary>
    public int Epoch { get; }

    public int Running => _running.Count;

    /// <summary>What the head said last about itself.</summary>
    public GenerationProtocol.HeadLoad Load { get; private set; } = new(0, 0, 0, 0, 0);

    public static HeadLink Start(Link link, int epoch)
    {
        var head = new HeadLink(link, epoch);
        link.Start(head);
        new Thread(head.SendAll) { IsBackground = true, Name = "head link" }.Start();
        return head;
    }

    /// <summary>Queues a submission; an attempt that cannot be sent is lost at once.</summary>
    public void Submit(GenerationAttempt attempt)
    {
        _running[attempt.Submit.Generation] = attempt;
        bool queued = false;
        try
        {
            queued = _outgoing.TryAdd(attempt);
        }
        catch (InvalidOperationException)
        {
            // Closed meanwhile.
        }

        if (!queued)
        {
            _running.TryRemove(attempt.Submit.Generation, out _);
            attempt.Lose("the link to the head is closed or its queue is full");
        }
        else if (_closed.Task.IsCompleted)
        {
            Forget(attempt.Submit.Generation)?.Lose("the link to the head is closed");
        }
    }

    /// <summary>Runs a few tokens, of an encoder a text, through the pipeline. Throws <see cref="LinkClosedException"/> when nothing comes of it.</summary>
    public async Task WarmUpAsync(TenantId tenant, bool encoder, TimeSpan deadline, CancellationToken cancellation)
    {
        int[] prompt = new int[8];
        var id = new GenerationId(0, (ulong)Random.Shared.NextInt64());
        var submit = new GenerationProtocol.Submit(tenant, id, prompt, [], 4, [], SamplingSettings.From(new SamplingParameters { Temperature = 0 }), 0, Pool: encoder);
        GenerationAttempt attempt = new GenerationRun(submit, _ => { }).BeginAttempt();
        Submit(attempt);
        try
        {
            AttemptResult result = await attempt.Result.WaitAsync(deadline, cancellation);
            if (result.Ended is not { Outcome: GenerationOutcome.Length or GenerationOutcome.Stop })
            {
                throw new LinkClosedException($"the pipeline does not compute: {result.LossReason ?? result.Ended?.Reason}");
            }
        }
        catch (TimeoutException)
        {
            throw new LinkClosedException($"the pipeline gave no token within {deadline.TotalSeconds:0} s");
        }
        finally
        {
            Cancel(tenant, id);
        }
    }

    /// <summary>Tells the head to drop a generation and forgets it.</summary>
    public void Cancel(TenantId tenant, GenerationId generation)
    {
        if (Forget(generation) is null)
        {
            return;
        }

        try
        {
            _link.Send(FrameKind.Cancel, Epoch, 0, Wire.Encode(new GenerationProtocol.Cancel(tenant, generation)));
        }
        catch (LinkClosedException)
        {
            // The head has lost the generation anyway.
        }
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        try
        {
            switch (kind)
            {
                case FrameKind.TokensGenerated:
                    var tokens = Wire.Decode<GenerationProtocol.TokensGenerated>(payload);
                    if (_running.TryGetValue(tokens.Generation, out GenerationAttempt? running))
                    {
                        running.OnTokens(tokens);
                    }

                    link.Grant();
                    break;
                case FrameKind.TextEmbedded:
                    var embedded = Wire.Decode<GenerationProtocol.TextEmbedded>(payload);
                    if (_running.TryGetValue(embedded.Generation, out GenerationAttempt? embedding))
                    {
                        embedding.OnEmbedded(embedded.Values);
                    }

                    link.Grant();
                    break;
                case FrameKind.GenerationEnded:
                    var ended = Wire.Decode<GenerationProtocol.GenerationEnded>(payload);
                    Forget(ended.Generation)?.OnEnded(ended);
                    break;
                case FrameKind.HeadLoad:
                    Load = Wire.Decode<GenerationProtocol.HeadLoad>(payload);
                    break;
                default:
                    link.Close($"a {kind} frame is not expected from a head");
                    break;
            }
        }
        catch (InvalidDataException)
        {
            link.Close($"a {kind} frame of {payload.Length} bytes is malformed");
        }
    }

    public void OnClosed(Link link, string reason)
    {
        _outgoing.CompleteAdding();
        _closed.TrySetResult(reason);
        foreach (GenerationId generation in _running.Keys)
        {
            Forget(generation)?.Lose(reason);
        }
    }

    public void Dispose()
    {
        _link.Close("the coordinator has no more use for it");
        _link.Dispose();
    }

    private void Allow(GenerationAttempt attempt, int tokens)
    {
        if (!_running.TryGetValue(attempt.Submit.Generation, out GenerationAttempt? running) || running != attempt)
        {
            return;
        }

        try
        {
            _link.Send(FrameKind.Allow, Epoch, 0, Wire.Encode(new GenerationProtocol.Allow(attempt.Submit.Tenant, attempt.Submit.Generation, tokens)));
        }
        catch (LinkClosedException)
        {
            // The generation goes on elsewhere, with what it may emit by then.
        }
    }

    private GenerationAttempt? Forget(GenerationId generation) => _running.TryRemove(generation, out GenerationAttempt? attempt) ? attempt : null;

    private void SendAll()
    {
        try
        {
            foreach (GenerationAttempt attempt in _outgoing.GetConsumingEnumerable())
            {
                if (_running.ContainsKey(attempt.Submit.Generation))
                {
                    // What may be emitted is told in the submission and, from then on, when it changes; never before the head knows the generation.
                    GenerationProtocol.Submit submit = attempt.Submit with { Allowed = attempt.Flow?.Allowed ?? 0 };
                    _link.Send(FrameKind.Submit, Epoch, 0, Wire.Encode(submit));
                    attempt.Flow?.Attach(submit.Allowed, tokens => Allow(attempt, tokens));
                }
            }
        }
        catch (LinkClosedException)
        {
            // OnClosed tells the generations.
        }
    }
}
