using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>The router's and the heads' side: which epoch serves, who runs there, and tokens on their way.</summary>
internal sealed partial class CellSimulation
{
    private static readonly GenerationLimits s_limits = new();

    private readonly SimulatedStream[] _streams;
    private readonly HashSet<int> _open = [];
    private readonly SortedSet<int> _serving = [];

    private void Serve(int epoch)
    {
        _serving.Add(epoch);
        foreach (SimulatedStream stream in _streams.Where(stream => stream.Attempt is null && stream.Run.State.Attempt > 0))
        {
            Advance(stream);
        }
    }

    private void Stop(int epoch)
    {
        _serving.Remove(epoch);
        CloseLink(epoch);
    }

    /// <summary>The link to the head closed by itself.</summary>
    private void CloseHead(int epoch)
    {
        if (CloseLink(epoch))
        {
            Apply(new DeploymentEvent.HeadLost(epoch, "closed"));
            RedialSoon(epoch);
        }
    }

    /// <summary>While nobody owns the plan, a coordinator dials the head again that was shown to it last.</summary>
    private void RedialSoon(int epoch)
    {
        if (!_ownerless)
        {
            return;
        }

        _time.After(0.2, 0.3, () =>
        {
            if (_ownerless && _state.Standing.Exists(standing => standing.Epoch == epoch) && Stands(epoch) && _open.Add(epoch))
            {
                Serve(epoch);
            }
            else
            {
                RedialSoon(epoch);
            }
        });
    }

    private bool CloseLink(int epoch)
    {
        bool closed = _open.Remove(epoch);
        foreach (SimulatedStream stream in _streams.Where(stream => stream.Attempt is not null && stream.Epoch == epoch))
        {
            stream.Attempt!.Lose("closed");
            Settle(stream);
        }

        return closed;
    }

    private void DrainSoon(int epoch, double until)
    {
        if (_time.Now >= until || !_streams.Any(stream => stream.Attempt is not null && stream.Epoch == epoch))
        {
            Stop(epoch);
            Apply(new DeploymentEvent.Drained(epoch));
        }
        else
        {
            _time.After(0.05, 0.05, () => DrainSoon(epoch, until));
        }
    }

    /// <summary>Ends the stream, or submits it to the epoch that serves, or leaves it waiting for one.</summary>
    private void Advance(SimulatedStream stream)
    {
        GenerationState state = stream.Run.State;
        if (state.IsComplete)
        {
            stream.Outcome = GenerationOutcome.Length;
        }
        else if (state.Attempt >= s_limits.MaxAttempts)
        {
            stream.Outcome = GenerationOutcome.Failed;
        }
        else if (_serving.Where(_open.Contains).ToArray() is { Length: > 0 } serving && serving[_random.Next(serving.Length)] is int epoch)
        {
            GenerationAttempt attempt = stream.Run.BeginAttempt();
            (stream.Attempt, stream.Epoch) = (attempt, epoch);
            List<int> tokens = [.. attempt.Submit.EmittedTokens];
            if (_planted == Planted.ResumptionDropsAToken && tokens.Count > 3)
            {
                tokens[^1] = tokens[^2];
            }

            _time.After(0.01, 0.2, () => Compute(stream, attempt, epoch, tokens, _time.Now));
        }
        else if (state.Attempt == 0)
        {
            _time.After(0.1, 0.1, () => Advance(stream));
        }
    }

    /// <summary>One step of the head for this stream; ends silently when the pipeline has fallen, since closing links tells of that.</summary>
    private void Compute(SimulatedStream stream, GenerationAttempt attempt, int epoch, List<int> tokens, double lastDelivery)
    {
        if (!Stands(epoch))
        {
            if (_open.Contains(epoch) && stream.Attempt == attempt)
            {
                _time.After(0.05, 0.1, () => Compute(stream, attempt, epoch, tokens, lastDelivery));
            }

            return;
        }

        // A report may bring several tokens, and again what was reported before.
        int first = tokens.Count - (_random.Next(20) == 0 ? _random.Next(tokens.Count + 1) : 0);
        int count = Math.Min(_random.Next(1, 4), stream.Submit.MaxTokens - tokens.Count);
        for (int i = 0; i < count; i++)
        {
            tokens.Add(SimulatedStream.Next(stream.Submit.PromptTokens[0] + (_planted == Planted.SamplingKnowsThePipeline ? epoch / 2 : 0), tokens));
        }

        int[] report = [.. tokens.Skip(first)];
        double arrival = Math.Max(lastDelivery, _time.Now + (_random.NextDouble() * 0.02));
        _time.At(arrival, () => Deliver(stream, attempt, epoch, to => to.OnTokens(new GenerationProtocol.TokensGenerated(stream.Submit.Generation, first, report, [], [], []))));
        if (tokens.Count < stream.Submit.MaxTokens)
        {
            _time.After(0.02, 0.4, () => Compute(stream, attempt, epoch, tokens, arrival));
        }
        else
        {
            _time.At(arrival, () => Deliver(stream, attempt, epoch, to => to.OnEnded(
                new GenerationProtocol.GenerationEnded(stream.Submit.Generation, GenerationOutcome.Length, stream.Submit.MaxTokens, 0, ""))));
        }
    }

    /// <summary>What was on its way when the link closed may still arrive, or not.</summary>
    private void Deliver(SimulatedStream stream, GenerationAttempt attempt, int epoch, Action<GenerationAttempt> report)
    {
        if (stream.Attempt == attempt || _random.Next(2) == 0)
        {
            int emitted = stream.Run.State.Emitted.Count;
            report(_planted == Planted.EpochsUnchecked ? stream.Attempt ?? attempt : attempt);
            stream.CheckFence(epoch, emitted);
            if (stream.Attempt == attempt)
            {
                Settle(stream);
            }
        }
    }

    private void Settle(SimulatedStream stream)
    {
        if (!stream.Attempt!.Result.IsCompleted)
        {
            return;
        }

        AttemptResult result = stream.Attempt.Result.Result;
        stream.Run.EndAttempt(stream.Attempt);
        stream.Attempt = null;
        if (result.Ended is { } ended)
        {
            stream.Outcome = ended.Outcome;
        }
        else
        {
            Advance(stream);
        }
    }
}
