using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Threading.Channels;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Api;

internal readonly record struct AnswerUsage(int PromptTokens, int CompletionTokens, int CachedPromptTokens)
{
    public AnswerUsage Plus(AnswerUsage other) =>
        new(PromptTokens + other.PromptTokens, CompletionTokens + other.CompletionTokens, CachedPromptTokens + other.CachedPromptTokens);

    /// <summary>A prompt that several choices answer counts with the first of them.</summary>
    public AnswerUsage CountedOnce(int choice, int choicesPerPrompt) =>
        choice % choicesPerPrompt == 0 ? this : new AnswerUsage(0, CompletionTokens, 0);
}

/// <summary>Something that happened to one of a request's answers; the last of each has a finish reason or an error.</summary>
/// <param name="Tokens">The choice's generated tokens whose text is out with this event and those before it.</param>
internal readonly record struct AnswerEvent(int Choice, AnswerPiece Piece, string? FinishReason, AnswerUsage Usage, ApiError? Error, int Tokens = 0)
{
    /// <summary>Says that a choice begins; it brings nothing yet.</summary>
    public static AnswerEvent Opening(int choice) => new(choice, new AnswerPiece("", []), null, default, null);

    public bool IsOpening => Piece is { Text.Length: 0, Tokens.Count: 0 } && FinishReason is null && Error is null;
}

/// <summary>Runs the generations of one request side by side and merges what they produce.</summary>
/// <param name="shown">Control tokens that show in the text.</param>
internal sealed class Answers(Cell cell, ServedModel model, GenerationOptions options, ApiMetrics metrics, IReadOnlySet<int>? shown = null)
{
    /// <summary>Events that may wait for the writer; further ones wait in the generations, which keep at most a context of tokens.</summary>
    private const int MaxWaitingEvents = 256;

    /// <summary>Tokens that a generation may be ahead of its writer; beyond them it is paused on its node.</summary>
    private const int MaxTokensAhead = 256;

    /// <summary>The seed of the first choice; the others count up from it.</summary>
    public ulong Seed { get; } = options.Seed is long seed ? unchecked((ulong)seed) : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));

    /// <summary>Counts what the answers cost.</summary>
    public AnswerMeter? Meter { get; private set; }

    /// <summary>What these answers may come to cost, before they run.</summary>
    public AnswerMeter Measure(IReadOnlyList<int[]> prompts, int defaultMaxTokens)
    {
        long[] generated = [.. prompts.Select(prompt => (long)MaxTokens(prompt, defaultMaxTokens))];
        var cost = new RequestCost(
            prompts.Sum(prompt => (long)prompt.Length), generated.Sum() * options.Choices, prompts.Count * options.Choices,
            prompts.Zip(generated).Sum(pair => model.KvBytes(pair.First.Length + (int)pair.Second)) * options.Choices);
        RequestCost? least = options.MaxTokens is not null ? null : cost with
        {
            GeneratedTokens = cost.Generations,
            KvBytes = prompts.Sum(prompt => model.KvBytes(prompt.Length + 1)) * options.Choices,
        };
        return Meter = new AnswerMeter(model.Name, model.Stored.Digest.ToString(), cost, least);
    }

    /// <summary>Emitted tokens that another coordinator could go on from: not where what is known of a token is more than its id, since that is not kept.</summary>
    private AnswerCourse? Course => options is { LogProbs: false, TopLogProbs: 0, Sampling.Mirostat: 0 } ? options.Course : null;

    /// <summary>The choices' events as they come; those of a kept answer in turns, because any coordinator must number them alike.</summary>
    /// <param name="prompts">Token ids; choice i answers prompt i / n.</param>
    public async IAsyncEnumerable<AnswerEvent> RunAsync(IReadOnlyList<int[]> prompts, int defaultMaxTokens, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        int choices = prompts.Count * options.Choices;
        Channel<AnswerEvent>[] events = [.. Enumerable.Range(0, options.Course is null ? 1 : choices)
            .Select(_ => Channel.CreateBounded<AnswerEvent>(new BoundedChannelOptions(MaxWaitingEvents) { SingleReader = true }))];
        var tasks = new Task[choices];
        for (int i = 0; i < choices; i++)
        {
            int choice = i;
            tasks[i] = Task.Run(() => RunChoiceAsync(choice, prompts[choice / options.Choices], defaultMaxTokens, events[choice % events.Length].Writer, stop.Token), CancellationToken.None);
        }

        int?[] tokens = new int?[choices];
        bool[] ended = new bool[choices];
        try
        {
            for ((int open, int turn) = (choices, 0); open > 0; turn = NextTurn(turn, ended, events.Length))
            {
                AnswerEvent next = await NextAsync(events[turn].Reader, cancellation);
                ended[next.Choice] = next.FinishReason is not null || next.Error is not null;
                open -= ended[next.Choice] ? 1 : 0;
                if (tokens[next.Choice] is null && next.Error is null)
                {
                    tokens[next.Choice] = 0;
                    yield return AnswerEvent.Opening(next.Choice);
                }

                tokens[next.Choice] = next.Tokens;
                Meter?.HandedOut = tokens.Sum(count => (long)(count ?? 0));
                yield return next;
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(tasks).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }

    private static int NextTurn(int turn, bool[] ended, int channels)
    {
        for (int step = 1; step <= channels; step++)
        {
            int next = (turn + step) % channels;
            if (channels == 1 || !ended[next])
            {
                return next;
            }
        }

        return turn;
    }

    private static async Task<AnswerEvent> NextAsync(ChannelReader<AnswerEvent> events, CancellationToken cancellation)
    {
        try
        {
            return await events.ReadAsync(cancellation);
        }
        catch (ChannelClosedException e) when (e.InnerException is ApiException cause)
        {
            throw cause;
        }
    }

    private async Task RunChoiceAsync(int choice, int[] prompt, int defaultMaxTokens, ChannelWriter<AnswerEvent> events, CancellationToken cancellation)
    {
        int maxTokens = MaxTokens(prompt, defaultMaxTokens);
        var tokens = Channel.CreateBounded<GenerationProtocol.TokensGenerated>(new BoundedChannelOptions(maxTokens + 1) { SingleReader = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        int[] known = Course?.TokensOf(choice) ?? [];
        GenerationProtocol.Submit submit = Submission(choice, prompt, known, maxTokens);
        var flow = new GenerationFlow(MaxTokensAhead, known.Length);
        GenerationTimer timer = metrics.StartGeneration(cell.Tenant, model.Name, prompt.Length);
        using Activity? span = ApiTrace.StartGeneration(cell.Tenant, model.Name, prompt.Length);
        submit = submit with { TraceParent = span?.Id };

        // Each report holds at least one new token, so the channel never fills and the link's thread never waits.
        Task<GenerationProtocol.GenerationEnded> run = cell.GenerateAsync(model.Name, submit, report => tokens.Writer.TryWrite(report), stop.Token, flow, model.Stored.Digest.ToString(), NoteEpoch);
        _ = run.ContinueWith(_ => tokens.Writer.TryComplete(), TaskScheduler.Default);

        var text = new AnswerText(model.Tokenizer, options.Stop, shown);
        int completionTokens = 0;
        try
        {
            for (int i = 0; i < known.Length && !text.Stopped; i++)
            {
                completionTokens++;
                AnswerPiece piece = text.Append(known[i], null, []);
                if (!piece.IsEmpty)
                {
                    await events.WriteAsync(new AnswerEvent(choice, piece, null, default, null, text.Shown), cancellation);
                }
            }

            await foreach (GenerationProtocol.TokensGenerated report in tokens.Reader.ReadAllAsync(cancellation))
            {
                Course?.Append(choice, report.Tokens);
                for (int i = 0; i < report.Tokens.Length && !text.Stopped; i++)
                {
                    completionTokens++;
                    Meter?.CountGenerated();
                    timer.CountToken();
                    AnswerPiece piece = text.Append(report.Tokens[i], options.LogProbs ? report.LogProbs[i] : null, Top(report, i));
                    if (!piece.IsEmpty)
                    {
                        await events.WriteAsync(new AnswerEvent(choice, piece, null, default, null, text.Shown), cancellation);
                    }
                }

                if (text.Stopped)
                {
                    await stop.CancelAsync();
                    break;
                }

                flow.Take(report.Tokens.Length);
            }

            GenerationProtocol.GenerationEnded ended = await run;
            var usage = new AnswerUsage(prompt.Length, completionTokens, ended.CachedPromptTokens);
            timer.End(text.Stopped ? GenerationOutcome.Stop : ended.Outcome);
            ApiTrace.EndGeneration(span, text.Stopped ? GenerationOutcome.Stop : ended.Outcome, completionTokens);
            await events.WriteAsync(Last(choice, text, ended, usage) with { Tokens = completionTokens }, cancellation);
        }
        catch (OperationCanceledException)
        {
            timer.End(GenerationOutcome.Cancelled);
            ApiTrace.EndGeneration(span, GenerationOutcome.Cancelled, completionTokens);
        }
        catch (InvalidOperationException)
        {
            // The cell was closed, or the deployment removed, while the answer ran.
            timer.End(GenerationOutcome.Failed);
            ApiTrace.EndGeneration(span, GenerationOutcome.Failed, completionTokens);
            events.TryComplete(ApiError.Unavailable("the model is not served any more").AsException());
        }
        finally
        {
            // Whoever waits on the outer token may come here before that token has passed its end on to this one, which then never would: the generation would hold its place for ever.
            await stop.CancelAsync();
        }
    }

    private void NoteEpoch(int epoch)
    {
        if (Meter is { } meter)
        {
            meter.Epoch = epoch;
        }
    }

    private int MaxTokens(int[] prompt, int defaultMaxTokens) => Math.Min(options.MaxTokens ?? defaultMaxTokens, model.ContextLength - prompt.Length);

    private static AnswerEvent Last(int choice, AnswerText text, GenerationProtocol.GenerationEnded ended, AnswerUsage usage)
    {
        AnswerPiece rest = text.Flush();
        if (text.Stopped)
        {
            return new AnswerEvent(choice, rest, "stop", usage, null);
        }

        return ended.Outcome switch
        {
            GenerationOutcome.Stop => new AnswerEvent(choice, rest, "stop", usage, null),
            GenerationOutcome.Length => new AnswerEvent(choice, rest, "length", usage, null),
            GenerationOutcome.GrammarExhausted => new AnswerEvent(choice, default, null, usage, ApiError.GrammarExhausted(ended.Reason)),
            GenerationOutcome.ModelReplaced => new AnswerEvent(choice, default, null, usage, ApiError.ModelReplaced()),
            GenerationOutcome.Refused => new AnswerEvent(choice, default, null, usage, ApiError.Overloaded("the model has as many requests as it can take; try again later")),
            _ => new AnswerEvent(choice, default, null, usage, ApiError.Unavailable("the model's pipeline was lost and has not come back in time")),
        };
    }

    /// <param name="known">Tokens that were emitted before, elsewhere.</param>
    private GenerationProtocol.Submit Submission(int choice, int[] prompt, int[] known, int maxTokens) => new(
        cell.Tenant,
        new GenerationId(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)), BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8))),
        prompt,
        known,
        maxTokens,
        [.. model.Tokenizer.EndOfGeneration],
        SamplingSettings.From(options.Sampling with
        {
            Seed = unchecked(Seed + (ulong)(choice % options.Choices)),
            TopLogProbs = options.TopLogProbs,
            LogProbs = options.LogProbs,
        }),
        (Meter?.Share ?? LaneShare.Nobody).PriorityOf(options.Priority),
        MinTokens: options.MinTokens,
        Lane: (Meter?.Share ?? LaneShare.Nobody).Lane,
        Weight: (Meter?.Share ?? LaneShare.Nobody).Weight,
        Adapters: options.Adapters,
        OwnPrefixes: (Meter?.Share ?? LaneShare.Nobody).OwnPrefixes);

    private TokenLogProb[] Top(GenerationProtocol.TokensGenerated report, int index)
    {
        var top = new TokenLogProb[options.TopLogProbs];
        for (int i = 0; i < top.Length; i++)
        {
            int place = (index * top.Length) + i;
            top[i] = new TokenLogProb(report.TopIds[place], report.TopLogProbs[place]);
        }

        return top;
    }
}
