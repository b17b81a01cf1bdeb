using System.Diagnostics;
using System.Runtime.InteropServices;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Node.Scheduling;

namespace Lamina.Node.Pipeline;

/// <summary>
/// The first stage: its compute thread plans each step, runs its layers and sends the rows on; where it is also the tail, everything happens on this one thread. Owns
/// executor and scheduler. Submissions and results come from other threads through queues.
/// </summary>
internal sealed class PipelineHead : IDisposable
{
    private readonly StageExecutor _executor;
    private readonly IFrameSink? _next;
    private readonly Action<Exception> _failed;
    private readonly Scheduler _scheduler;
    private readonly ChunkPolicy _chunks;
    private readonly Doorbell _doorbell = new();
    private readonly Lock _gate = new();
    private readonly Queue<Command> _commands = [];
    private readonly Step _step;
    private readonly SampledTokens _received = new();
    private readonly NativeBuffer _rows;
    private readonly Thread _thread;
    private readonly int _width;
    private readonly int _maxInFlight;
    private readonly HeadMeasures? _measures;
    private byte[] _prologue = new byte[4096];
    private bool _stopped;
    private volatile bool _stopping;
    private Exception? _cause;
    private long _tokens;
    private long _guesses;
    private long _rightGuesses;
    private int _running;
    private int _waiting;
    private int _freeBlocks;
    private long _promptTokens;
    private long _cachedPromptTokens;

    /// <param name="next">The second stage; null when this one is the whole pipeline.</param>
    /// <param name="failed">Called once, on the compute thread, when the pipeline cannot go on; every owner has then heard of its loss.</param>
    /// <param name="measures">Where its distributions go; null = nowhere.</param>
    public PipelineHead(StageExecutor executor, StageSettings settings, int stageCount, IFrameSink? next, Action<Exception> failed, HeadMeasures? measures = null)
    {
        _executor = executor;
        _measures = measures;
        _next = next;
        _failed = failed;
        _scheduler = new Scheduler(SchedulerLimits.From(settings, stageCount, executor.Stage.Shape) with { Adapters = executor.AdapterCount }, executor.Draft);
        _chunks = new ChunkPolicy(settings.PrefillChunk);
        _width = executor.Stage.Shape.EmbeddingLength;
        _step = new Step(settings.MaxBatchRows);
        _rows = new NativeBuffer(next is null ? 0 : (long)settings.MaxBatchRows * _width * sizeof(float));

        // One micro-batch for each stage, and one more to hide the links' latency.
        _maxInFlight = stageCount + 1;
        _freeBlocks = settings.KvBlocks;
        Sampled = new FrameInbox(_doorbell, _maxInFlight, SampledFrame.MaxBytes(settings.MaxBatchRows, _width));
        _thread = new Thread(Run) { IsBackground = true, Name = $"head {executor.Stage.Layers}" };
        _thread.Start();
    }

    /// <summary>Where the tail's results arrive.</summary>
    public FrameInbox Sampled { get; }

    public StageMeter Meter { get; } = new();

    /// <summary>Tokens emitted so far.</summary>
    public long Tokens => Volatile.Read(ref _tokens);

    /// <summary>Tokens that sequences guessed ahead, and how many of them were right.</summary>
    public (long Made, long Right) Guesses => (Volatile.Read(ref _guesses), Volatile.Read(ref _rightGuesses));

    /// <summary>The scheduler's counts after the last step.</summary>
    public int Running => Volatile.Read(ref _running);
    public int Waiting => Volatile.Read(ref _waiting);
    public int FreeKvBlocks => Volatile.Read(ref _freeBlocks);

    /// <summary>Prompt tokens of the generations that began to run, and how many of them the prefix cache held.</summary>
    public (long All, long Cached) PromptTokens => (Volatile.Read(ref _promptTokens), Volatile.Read(ref _cachedPromptTokens));

    /// <summary>Thread-safe. The owner hears of the end in every case, also when the pipeline has stopped.</summary>
    public void Submit(GenerationProtocol.Submit submit, IGenerationOwner owner)
    {
        if (!TryEnqueue(new Command(submit, submit.Generation, owner)))
        {
            owner.OnTaken(submit);
            owner.OnLost(submit.Generation, submit.EmittedTokens.Length, "the pipeline has stopped");
        }
    }

    /// <summary>Thread-safe. Its blocks are free at the next step; nothing happens when it has ended.</summary>
    public void Cancel(GenerationId generation, IGenerationOwner owner) => TryEnqueue(new Command(null, generation, owner));

    /// <summary>Thread-safe. So many tokens may be emitted in all; nothing happens when it has ended, or may emit more already.</summary>
    public void Allow(GenerationId generation, int tokens, IGenerationOwner owner) => TryEnqueue(new Command(null, generation, owner, tokens));

    /// <summary>Thread-safe. Cancels all that the owner submitted.</summary>
    public void CancelAll(IGenerationOwner owner) => TryEnqueue(new Command(null, null, owner));

    /// <summary>Thread-safe. Another stage of the pipeline cannot go on: ends every generation and stops.</summary>
    public void Fail(Exception cause)
    {
        Interlocked.CompareExchange(ref _cause, cause, null);
        _doorbell.Ring();
    }

    /// <summary>Stops the thread, fails what still runs and frees everything. Links it might be sending on must have been closed before.</summary>
    public void Dispose()
    {
        _stopping = true;
        _doorbell.Ring();
        _thread.Join();
        Sampled.Dispose();
        _executor.Dispose();
        _rows.Dispose();
        _step.Clear();
        _received.Clear();
    }

    private bool TryEnqueue(Command command)
    {
        lock (_gate)
        {
            if (_stopped)
            {
                return false;
            }

            _commands.Enqueue(command);
        }

        _doorbell.Ring();
        return true;
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
            {
                if (Volatile.Read(ref _cause) is { } cause)
                {
                    throw new InvalidOperationException(cause.Message, cause);
                }

                bool worked = RunCommands() | ReceiveSampled();
                worked |= _scheduler.StepsInFlight < _maxInFlight && RunStep();
                if (!worked)
                {
                    ReportLoad();
                    _doorbell.Wait();
                }
            }

            Stop("the pipeline was stopped");
        }
        catch (Exception e)
        {
            Stop(e.Message);
            if (!_stopping)
            {
                _failed(e);
            }
        }
    }

    private bool RunCommands()
    {
        bool any = false;
        while (true)
        {
            Command command;
            lock (_gate)
            {
                if (!_commands.TryDequeue(out command))
                {
                    return any;
                }
            }

            any = true;
            if (command.Submit is { } submit)
            {
                Activity? span = submit.TraceParent is not null && NodeTrace.IsOn ? NodeTrace.StartHead(submit) : null;
                _scheduler.Submit(span is null ? submit : submit with { TraceParent = span.Id }, command.Owner, Stopwatch.GetTimestamp(), span);
                command.Owner.OnTaken(submit);
            }
            else if (command is { Generation: { } flowing, Allowed: { } allowed })
            {
                _scheduler.Allow(flowing, command.Owner, allowed);
            }
            else if (command.Generation is { } generation)
            {
                _scheduler.Cancel(generation, command.Owner);
            }
            else
            {
                _scheduler.CancelAll(command.Owner, GenerationOutcome.Cancelled, "");
            }

            Dispatch(_received);
        }
    }

    private bool ReceiveSampled()
    {
        bool any = false;
        while (Sampled.TryTake(out Frame frame))
        {
            try
            {
                if (frame.Kind != FrameKind.Sampled)
                {
                    throw new InvalidDataException($"a {frame.Kind} frame came from the tail");
                }

                SampledFrame.Read(frame.Payload, _received);
            }
            catch
            {
                frame.Dispose();
                throw;
            }

            int step = frame.Step;
            Sampled.Return(frame);
            _scheduler.Complete(step, _received);
            Dispatch(_received);
            any = true;
        }

        return any;
    }

    private bool RunStep()
    {
        bool planned = _scheduler.TryPlan(_step, _chunks.Rows(_scheduler.Decoding));
        MeasureStarted();
        Dispatch(_received);
        if (!planned)
        {
            return false;
        }

        int rows = _step.Batch.RowCount;
        Span<float> output = _next is null ? [] : _rows.Floats(rows * _width);
        long start = Stopwatch.GetTimestamp();
        _executor.Execute(_step, [], output);
        long ticks = Stopwatch.GetTimestamp() - start;
        Meter.CountStep(rows, ticks);
        _measures?.ObserveBatch(rows);
        _chunks.Observe(rows, Stopwatch.GetElapsedTime(0, ticks));

        if (_next is null)
        {
            _scheduler.Complete(_step.Number, _executor.Sampled);
            Dispatch(_executor.Sampled);
        }
        else
        {
            int length = StepFrame.WritePrologue(_step, _width, ref _prologue);
            try
            {
                _next.Send(FrameKind.Step, _step.Number, _prologue.AsSpan(0, length), MemoryMarshal.AsBytes(output));
            }
            finally
            {
                Array.Clear(_prologue, 0, length);
            }
        }

        // Not when the next one is planned: that may be long.
        _step.Clear();

        ReportLoad();
        return true;
    }

    private void MeasureStarted()
    {
        foreach (Sequence started in _scheduler.Started)
        {
            Volatile.Write(ref _promptTokens, _promptTokens + started.PromptLength);
            Volatile.Write(ref _cachedPromptTokens, _cachedPromptTokens + (started.CachedPromptTokens ?? 0));
            TimeSpan queued = Stopwatch.GetElapsedTime(started.SubmittedAt);
            _measures?.ObserveQueue(queued);
            if (started.Span is not null)
            {
                NodeTrace.Begun(started.Span, queued, started.CachedPromptTokens ?? 0);
            }
        }
    }

    private void Dispatch(SampledTokens sampled)
    {
        foreach (SchedulerEvent e in _scheduler.Events)
        {
            var owner = (IGenerationOwner)e.Sequence.Owner!;
            if (e.Outcome is { } outcome)
            {
                if (e.Sequence.Span is not null)
                {
                    NodeTrace.End(e.Sequence.Span, outcome, e.Index);
                }

                owner.OnEnded(new GenerationProtocol.GenerationEnded(e.Sequence.Id, outcome, e.Index, e.Sequence.CachedPromptTokens ?? 0, e.Reason));
            }
            else
            {
                SampledToken token = sampled[e.SampledIndex];
                if (token.Token == SampledToken.Embedded)
                {
                    owner.OnEmbedded(e.Sequence.Id, sampled.Values(token));
                    continue;
                }

                Volatile.Write(ref _tokens, _tokens + 1);
                owner.OnToken(e.Sequence.Id, e.Index, token.Token, token.LogProb, sampled.Top(token));
            }
        }

        _scheduler.ClearEvents();
    }

    private void Stop(string reason)
    {
        lock (_gate)
        {
            _stopped = true;
        }

        RunCommands();
        _scheduler.Stop(reason);
        foreach (SchedulerEvent e in _scheduler.Events)
        {
            if (e.Sequence.Span is not null)
            {
                NodeTrace.End(e.Sequence.Span, null, e.Index);
            }

            ((IGenerationOwner)e.Sequence.Owner!).OnLost(e.Sequence.Id, e.Index, reason);
        }

        _scheduler.ClearEvents();
    }

    private void ReportLoad()
    {
        Volatile.Write(ref _guesses, _scheduler.Guesses);
        Volatile.Write(ref _rightGuesses, _scheduler.RightGuesses);
        Volatile.Write(ref _running, _scheduler.Running);
        Volatile.Write(ref _waiting, _scheduler.Waiting);
        Volatile.Write(ref _freeBlocks, _scheduler.FreeBlocks);
    }

    private readonly record struct Command(GenerationProtocol.Submit? Submit, GenerationId? Generation, IGenerationOwner Owner, int? Allowed = null);
}
