using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Node.Scheduling;

internal enum SequenceState { Waiting, Running, Ended }

/// <summary>One generation as the scheduler sees it: its tokens, and where its positions stand in the pipeline.</summary>
internal sealed class Sequence
{
    private readonly Pipeline.TailSettings _settings;
    private readonly List<float>? _logProbs;
    private int[] _tokens;

    public Sequence(GenerationProtocol.Submit submit, object? owner, long arrival, Draft? draft = null)
    {
        Pool = submit.Pool;
        Adapters = [.. (submit.Adapters ?? []).Select(adapter => new AdapterUse(adapter.Adapter, adapter.Scale))];
        Draft = Pool ? null : draft;
        Id = submit.Generation;
        PromptLength = submit.PromptTokens.Length;
        MaxTokens = submit.MaxTokens;
        Allowed = Pool || submit.Allowed <= 0 ? int.MaxValue : submit.Allowed;
        StopTokens = submit.StopTokens;
        Priority = submit.Priority;
        Owner = owner;
        Arrival = arrival;
        TokenCount = submit.PromptTokens.Length + submit.EmittedTokens.Length;
        _tokens = UnmovedArray.New<int>(TokenCount + 64);
        submit.PromptTokens.CopyTo(_tokens, 0);
        submit.EmittedTokens.CopyTo(_tokens, submit.PromptTokens.Length);
        _settings = Pipeline.TailSettings.Of(submit);
        _logProbs = _settings.EmittedLogProbs is { } logProbs ? [.. logProbs] : null;
        Settings = Pipeline.SamplingWire.Write(_settings);
    }

    public GenerationId Id { get; }

    /// <summary>What its rows pass through: keys and values are alike only among sequences with the same.</summary>
    public AdapterUse[] Adapters { get; }

    /// <summary>Names its adapters, and its lane if that shares with no other, in the prefix cache; 0 = neither.</summary>
    public long CacheRoot { get; set; }

    /// <summary>Whether its embedding is wanted and no tokens.</summary>
    public bool Pool { get; }

    /// <summary>Whose share of the pipeline it takes; set once it is queued.</summary>
    public Lane Lane { get; set; } = null!;

    public int PromptLength { get; }

    /// <summary>Tokens to emit in all.</summary>
    public int MaxTokens { get; }

    /// <summary>Tokens that it may emit before whoever takes them has kept up.</summary>
    public int Allowed { get; set; }

    /// <summary>Computes nothing until it may emit more.</summary>
    public bool IsPaused => Emitted >= Allowed;

    public int[] StopTokens { get; }
    public int Priority { get; }

    /// <summary>Whom its events go to; the scheduler only compares it.</summary>
    public object? Owner { get; }

    /// <summary>Order of submission; among equal priorities the earlier one comes first.</summary>
    public long Arrival { get; }

    /// <summary>As the caller of <see cref="Scheduler.Submit"/> counts time.</summary>
    public long SubmittedAt { get; init; }

    /// <summary>Its span at the head; null where it is not traced.</summary>
    public Activity? Span { get; init; }

    /// <summary>Whether it has run before, if only to give its place up.</summary>
    public bool HasStarted { get; set; }

    /// <summary>Sampling settings in their wire form.</summary>
    public byte[] Settings { get; private set; }

    public SequenceState State { get; set; }

    /// <summary>Prompt and emitted tokens.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, TokenCount);

    public int TokenCount { get; private set; }
    public int Emitted => TokenCount - PromptLength;

    /// <summary>-1 unless running.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>Its block table while running.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>Its guesses; null when it makes none.</summary>
    public Draft? Draft { get; }

    /// <summary>Positions of known tokens handed to the pipeline or taken from the prefix cache since it last began to run.</summary>
    public int Planned { get; set; }

    /// <summary>Full blocks already offered to the prefix cache.</summary>
    public int Offered { get; set; }

    /// <summary>Whether a token of it is being sampled in a step under way.</summary>
    public bool InFlight { get; set; }

    /// <summary>The last step that samples for it.</summary>
    public int SampledIn { get; set; }

    /// <summary>Prompt tokens that the prefix cache served when it first began to run.</summary>
    public int? CachedPromptTokens { get; set; }

    /// <summary>Prompt rows that it was granted in the step being planned.</summary>
    public int Granted { get; set; }

    /// <summary>Known tokens not yet handed to the pipeline.</summary>
    public int Pending => TokenCount - Planned;

    /// <summary>Whether rows of its prompt are left; the last known token of one that generates is decoded, not prompt.</summary>
    public bool WantsPrompt => Pending > (Pool ? 0 : 1);

    /// <summary>Brings the settings up to the tokens known, for a tail that is told of the sequence anew.</summary>
    public void RefreshSettings()
    {
        if (_logProbs is not null)
        {
            Settings = Pipeline.SamplingWire.Write(_settings with { EmittedLogProbs = [.. _logProbs] });
        }
    }

    public void Add(int token, float logProb)
    {
        _logProbs?.Add(logProb);
        if (TokenCount == _tokens.Length)
        {
            int[] grown = UnmovedArray.New<int>(TokenCount * 2);
            _tokens.CopyTo(grown, 0);
            Array.Clear(_tokens);
            _tokens = grown;
        }

        _tokens[TokenCount++] = token;
    }

    /// <summary>Overwrites the tokens: nothing of an ended generation stays in memory.</summary>
    public void Forget() => Array.Clear(_tokens);

    /// <summary>Higher priority first, then first come, first served.</summary>
    public static int Compare(Sequence a, Sequence b) =>
        a.Priority != b.Priority ? b.Priority.CompareTo(a.Priority) : a.Arrival.CompareTo(b.Arrival);
}
