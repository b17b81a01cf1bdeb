using System.Collections.Concurrent;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// Keeps one other coordinator up to date about the answers made here, on a thread of its own: whatever that coordinator does, it holds up nobody. What is to be sent is looked
/// up when it is sent, so nothing queues; after each connection everything is sent anew.
/// </summary>
internal sealed class MirrorLink : ILinkHandler, IDisposable
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(500);

    /// <summary>Tokens are reported that often, not each by itself.</summary>
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(30);

    private readonly string _peer;
    private readonly CellPeers _peers;
    private readonly Func<IEnumerable<RetainedGeneration>> _answers;
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _asked = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _confirmed = new(StringComparer.Ordinal);
    private readonly AutoResetEvent _wake = new(false);

    /// <summary>Somebody waits for the peer: no time to gather tokens.</summary>
    private readonly AutoResetEvent _urgent = new(false);

    private readonly CancellationTokenSource _stopping;
    private volatile Link? _link;

    /// <param name="answers">Those that are to be kept elsewhere too.</param>
    public MirrorLink(string peer, CellPeers peers, Func<IEnumerable<RetainedGeneration>> answers)
    {
        (_peer, _peers, _answers) = (peer, peers, answers);
        _stopping = CancellationTokenSource.CreateLinkedTokenSource(peers.Stopping);
        new Thread(Run) { IsBackground = true, Name = $"mirror {peer}" }.Start();
    }

    /// <summary>Whether it is worth waiting for the peer: it answered when it was last asked.</summary>
    public bool IsAnswering { get; private set; }

    /// <summary>Whether the peer could go on with the answer.</summary>
    public bool Has(string id) => _confirmed.ContainsKey(id);

    /// <summary>Something changed.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Completes when the peer has answered that it knows the answer, or cannot.</summary>
    public Task AskAsync(string id)
    {
        Task asked = _asked.GetOrAdd(id, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        _urgent.Set();
        return asked;
    }

    /// <summary>The peer did not answer in time.</summary>
    public void GiveUp(string id)
    {
        if (_asked.TryRemove(id, out _))
        {
            IsAnswering = false;
        }
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        if (kind != FrameKind.AnswerKept)
        {
            link.Close($"a {kind} frame is not expected from a mirror");
            return;
        }

        IsAnswering = true;
        var kept = Wire.Decode<MirrorProtocol.AnswerKept>(payload);
        if (kept.Kept)
        {
            _confirmed[kept.Id] = true;
        }

        if (_asked.TryRemove(kept.Id, out TaskCompletionSource? asked))
        {
            asked.TrySetResult();
        }
    }

    public void OnClosed(Link link, string reason)
    {
        IsAnswering = false;
        _confirmed.Clear();
        foreach (string id in _asked.Keys)
        {
            if (_asked.TryRemove(id, out TaskCompletionSource? asked))
            {
                asked.TrySetResult();
            }
        }

        _wake.Set();
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _link?.Close("the coordinator is stopping");
        _wake.Set();
    }

    private void Run()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                using Link link = _peers.DialAsync(_peer, LinkPurpose.Mirror, _stopping.Token).GetAwaiter().GetResult();
                _link = link;
                IsAnswering = true;
                link.Start(this);
                SendAll(link);
            }
            catch (Exception e) when (e is LinkClosedException or OperationCanceledException)
            {
                // Out of reach, or it does not know such links yet.
            }

            _stopping.Token.WaitHandle.WaitOne(s_retry);
        }
    }

    private void SendAll(Link link)
    {
        var sent = new Dictionary<string, List<int>>(StringComparer.Ordinal);
        while (link.IsOpen && !_stopping.IsCancellationRequested)
        {
            var current = new HashSet<string>(StringComparer.Ordinal);
            foreach (RetainedGeneration answer in _answers())
            {
                current.Add(answer.Id);
                Send(link, answer, sent);
            }

            foreach (string gone in sent.Keys.Where(id => !current.Contains(id)).ToArray())
            {
                sent.Remove(gone);
                _confirmed.TryRemove(gone, out _);
                link.Send(FrameKind.AnswerReleased, 0, 0, Wire.Encode(new MirrorProtocol.AnswerReleased(gone)));
            }

            _wake.WaitOne();
            _urgent.WaitOne(s_pace);
        }
    }

    private static void Send(Link link, RetainedGeneration answer, Dictionary<string, List<int>> sent)
    {
        KeptRequest request = answer.Request!;
        if (!sent.TryGetValue(answer.Id, out List<int>? reported))
        {
            sent[answer.Id] = reported = [];
            link.Send(FrameKind.KeepAnswer, 0, 0, Wire.Encode(new MirrorProtocol.KeepAnswer(
                answer.Id, request.Term, answer.Owner.Key, answer.Key, request.Route, request.Body.ToArray(), answer.Usage.ToString("n"), answer.Stream, answer.Typed, answer.Seed, answer.User, answer.Model)));
        }

        for (int choice = 0; choice < request.Course.Choices; choice++)
        {
            if (reported.Count == choice)
            {
                reported.Add(0);
            }

            int[] tokens = request.Course.TokensOf(choice, reported[choice]);
            if (tokens.Length > 0)
            {
                link.Send(FrameKind.AnswerProgress, 0, 0, Wire.Encode(new MirrorProtocol.AnswerProgress(answer.Id, choice, reported[choice], tokens)));
                reported[choice] += tokens.Length;
            }
        }
    }
}
