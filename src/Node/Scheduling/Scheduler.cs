using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Scheduling;

/// <summary>
/// Decides what each step of a pipeline computes: continuous batching over key/value blocks. A function of the calls made to it and nothing else: no clock, no I/O, no
/// threads. Whatever it decides, a sequence's tokens come out the same; decisions only move work in time.
/// </summary>
internal sealed partial class Scheduler
{
    private readonly SchedulerLimits _limits;
    private readonly OperationBuffer _operations = new();
    private readonly PrefixCache? _cache;
    private readonly BlockPool _blocks;
    private readonly Dictionary<GenerationId, Sequence> _sequences = [];
    private readonly LaneRing _lanes = new();
    private readonly SequenceQueue _running = new();
    private readonly Stack<int> _freeSlots;
    private readonly Queue<StepInFlight> _inFlight = [];
    private readonly Stack<StepInFlight> _spare = [];
    private readonly List<int> _found = [];
    private readonly List<SchedulerEvent> _events = [];
    private readonly IDrafter _drafter;
    private long _arrivals;
    private int _steps;

    /// <param name="drafter">Where guesses come from; null = from each sequence's own text.</param>
    public Scheduler(SchedulerLimits limits, IDrafter? drafter = null)
    {
        _drafter = drafter ?? new PromptLookup();
        if (limits.MaxSequences > limits.MaxBatchRows)
        {
            throw new ArgumentException($"{limits.MaxSequences} sequences do not fit a step of {limits.MaxBatchRows} rows");
        }

        _limits = limits;
        _cache = limits.PrefixCache ? new PrefixCache(limits.KvBlocks) : null;
        _blocks = new BlockPool(limits.KvBlocks, _operations, _cache);
        _freeSlots = new Stack<int>(limits.MaxSequences);
        for (int slot = limits.MaxSequences - 1; slot >= 0; slot--)
        {
            _freeSlots.Push(slot);
        }
    }

    public int Running => _running.Count;
    public int Waiting => _sequences.Count - _running.Count;
    public int StepsInFlight => _inFlight.Count;
    public int FreeBlocks => _blocks.Available;
    public int Preemptions { get; private set; }

    /// <summary>Tokens guessed ahead and verified, and how many of them were right.</summary>
    public long Guesses { get; private set; }
    public long RightGuesses { get; private set; }

    /// <summary>Running sequences past their prompt: those whose next token a long prefill would delay.</summary>
    public int Decoding { get; private set; }

    /// <summary>What happened since <see cref="ClearEvents"/>, in order.</summary>
    public List<SchedulerEvent> Events => _events;

    public void ClearEvents() => _events.Clear();

    /// <summary>Sequences that began to run for the first time when the last step was planned.</summary>
    public List<Sequence> Started { get; } = [];

    /// <summary>Admits a generation to the queue; one that can never run ends at once as Refused.</summary>
    /// <param name="now">When it came; handed on with the sequence, as is <paramref name="span"/>, and read by nobody here.</param>
    public void Submit(GenerationProtocol.Submit submit, object? owner, long now = 0, Activity? span = null)
    {
        var sequence = new Sequence(submit, owner, _arrivals++, _limits.DraftTokens > 0 ? new Draft(_limits.DraftTokens, _drafter) : null) { SubmittedAt = now, Span = span };
        sequence.CacheRoot = _cache?.RootOf(sequence.Adapters, submit.OwnPrefixes ? submit.Lane : null) ?? 0;
        if (_sequences.TryGetValue(submit.Generation, out Sequence? earlier))
        {
            if (ReferenceEquals(earlier.Owner, owner))
            {
                EndUnqueued(sequence, GenerationOutcome.Refused, "the generation is running already");
                return;
            }

            // Its coordinator came back on a new link before the old one was noticed dead.
            End(earlier, GenerationOutcome.Cancelled, "");
        }

        if (Refusal(submit) is { } reason)
        {
            EndUnqueued(sequence, GenerationOutcome.Refused, reason);
        }
        else if (!submit.Pool && (sequence.Emitted >= submit.MaxTokens || sequence.TokenCount >= _limits.ContextLength))
        {
            EndUnqueued(sequence, GenerationOutcome.Length, "");
        }
        else
        {
            _sequences.Add(sequence.Id, sequence);
            sequence.Lane = _lanes.Enter(submit.Lane, submit.Weight);
            sequence.Lane.Waiting.Add(sequence);
        }
    }

    /// <summary>Ends a generation and frees what it holds; nothing happens when it has ended already or belongs to another owner.</summary>
    public void Cancel(GenerationId id, object? owner)
    {
        if (_sequences.TryGetValue(id, out Sequence? sequence) && ReferenceEquals(sequence.Owner, owner))
        {
            End(sequence, GenerationOutcome.Cancelled, "");
        }
    }

    /// <summary>Lets a generation emit so many tokens in all; less than it may already changes nothing.</summary>
    public void Allow(GenerationId id, object? owner, int tokens)
    {
        if (_sequences.TryGetValue(id, out Sequence? sequence) && ReferenceEquals(sequence.Owner, owner))
        {
            sequence.Allowed = Math.Max(sequence.Allowed, tokens);
        }
    }

    /// <summary>Ends every generation of an owner that has gone (null = of all).</summary>
    public void CancelAll(object? owner, GenerationOutcome outcome, string reason)
    {
        foreach (Sequence sequence in _sequences.Values.Where(s => owner is null || ReferenceEquals(s.Owner, owner)).OrderBy(s => s.Arrival).ToArray())
        {
            End(sequence, outcome, reason);
        }
    }

    private string? Refusal(GenerationProtocol.Submit submit)
    {
        if (submit.PromptTokens.Length == 0)
        {
            return "the prompt is empty";
        }

        if ((RefusalOfKind(submit) ?? RefusalOfAdapters(submit.Adapters ?? [])) is { } kind)
        {
            return kind;
        }

        if (submit.PromptTokens.Length >= _limits.ContextLength + (submit.Pool ? 1 : 0))
        {
            return $"the prompt of {submit.PromptTokens.Length} tokens leaves no room in the context of {_limits.ContextLength}";
        }

        if (submit.MaxTokens < 1)
        {
            return $"max_tokens is {submit.MaxTokens}, at least 1 is needed";
        }

        int blocks = BlockPool.BlocksFor(Math.Min(submit.PromptTokens.Length + submit.EmittedTokens.Length + 1, _limits.ContextLength));
        if (blocks > _blocks.Count)
        {
            return $"{submit.PromptTokens.Length + submit.EmittedTokens.Length} tokens need {blocks} cache blocks, the pipeline has {_blocks.Count}";
        }

        if ((FirstUnknownToken(submit.PromptTokens) ?? FirstUnknownToken(submit.EmittedTokens)) is { } token)
        {
            return $"token {token} is not in the vocabulary of {_limits.VocabularySize}";
        }

        if (submit.Weight is < 1 or > Lane.MaxWeight)
        {
            return $"the lane's weight is {submit.Weight}, expected 1 to {Lane.MaxWeight}";
        }

        int ahead = _lanes.Find(submit.Lane)?.Waiting.Count ?? 0;
        return Waiting >= _limits.MaxWaiting || ahead >= _limits.MaxWaitingPerLane
            ? $"{ahead} generations of the lane and {Waiting} in all are waiting already"
            : SamplingWire.Refuse(submit, _limits.VocabularySize);
    }

    /// <summary>Texts are continued by models with logits and embedded by those that say how.</summary>
    private string? RefusalOfKind(GenerationProtocol.Submit submit) => submit.Pool switch
    {
        false when !_limits.Generates => "the model is an encoder: it embeds texts and continues none",
        true when !_limits.Pools => "the model does not say how a text's embedding is made",
        true when submit.EmittedTokens.Length > 0 => "an embedding is made of a prompt alone",
        true when _limits.WholeTexts && submit.PromptTokens.Length > _limits.MaxBatchRows => $"the text has {submit.PromptTokens.Length} tokens, a step takes {_limits.MaxBatchRows}",
        _ => null,
    };

    private string? RefusalOfAdapters(IReadOnlyList<GenerationProtocol.AdapterSetting> adapters) =>
        adapters.Count > StageAdapters.MaxUses ? $"{adapters.Count} adapters were named, at most {StageAdapters.MaxUses} are possible"
        : adapters.FirstOrDefault(adapter => (uint)adapter.Adapter >= (uint)_limits.Adapters || !float.IsFinite(adapter.Scale)) is { } wrong
            ? $"adapter {wrong.Adapter} at scale {wrong.Scale} cannot be used: the pipeline holds {_limits.Adapters}"
        : null;

    private int? FirstUnknownToken(int[] tokens)
    {
        int index = Array.FindIndex(tokens, t => (uint)t >= (uint)_limits.VocabularySize);
        return index < 0 ? null : tokens[index];
    }

    private void End(Sequence sequence, GenerationOutcome outcome, string reason)
    {
        if (sequence.State == SequenceState.Running)
        {
            Withdraw(sequence);
        }
        else
        {
            sequence.Lane.Waiting.Remove(sequence);
        }

        _sequences.Remove(sequence.Id);
        _lanes.LeaveIfIdle(sequence.Lane);
        EndUnqueued(sequence, outcome, reason);
    }

    /// <summary>Ends every generation, and overwrites what the prefix cache and operations that no stage has read hold of prompts. The last call: keys and values go with the stage.</summary>
    public void Stop(string reason)
    {
        CancelAll(null, GenerationOutcome.Failed, reason);
        _cache?.Clear();
        _operations.Clear();
    }

    private void EndUnqueued(Sequence sequence, GenerationOutcome outcome, string reason)
    {
        sequence.State = SequenceState.Ended;
        sequence.Forget();
        _events.Add(SchedulerEvent.End(sequence, outcome, reason));
    }

    /// <summary>Takes slot and blocks from a running sequence. Steps under way may still use them: they reach each stage before the operations written here.</summary>
    private void Withdraw(Sequence sequence)
    {
        _running.Remove(sequence);
        sequence.Lane.Running--;
        _operations.Release(sequence.Slot);
        _drafter.Release(sequence.Slot);
        _blocks.Return(sequence.Blocks);
        _freeSlots.Push(sequence.Slot);
        sequence.Slot = -1;
        sequence.Planned = 0;
        sequence.Offered = 0;
    }

    /// <summary>The sequences that a step under way samples for, in the order of its logit rows.</summary>
    private sealed class StepInFlight
    {
        public int Number { get; set; }
        public List<Sequence> Sampling { get; } = [];
    }
}
