using System.Collections.Concurrent;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// One cell's kept answers over all of its coordinators. Each is made by one of them and known to all: whoever is asked for it reads it from the one that makes it, and goes on
/// with it itself when that one is gone.
/// </summary>
internal sealed class GenerationMirror : IDisposable
{
    /// <summary>Longest time that an answer's begin waits for another coordinator to know of it.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(250);

    private readonly CellPeers _peers;
    private readonly TenantGenerations _own;
    private readonly ConcurrentDictionary<string, MirrorLink> _links = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, RetainedGeneration> _kept = new(StringComparer.Ordinal);
    private readonly ILogger _logger;
    private volatile bool _disposed;

    public GenerationMirror(CellPeers peers, TenantGenerations own, ResumptionOptions options, TimeProvider time, ILogger logger)
    {
        (_peers, _own, _logger) = (peers, own, logger);
        Others = new MirroredAnswers(options, time);
        peers.Take(LinkPurpose.Mirror, link => new MirrorReceiver(this, link));
        peers.Take(LinkPurpose.Answers, link => new AnswerServer(own, link));
        peers.Watch(Found);
    }

    /// <summary>What other coordinators make.</summary>
    public MirroredAnswers Others { get; }

    /// <summary>Answers made here that would be lost with this coordinator.</summary>
    public int Unmirrored => _kept.Keys.Count(id => !_links.Values.Any(link => link.Has(id)));

    /// <summary>
    /// Tells the others that an answer is made here. Returns once one of them knows, so that an id which a caller has been given can be asked for elsewhere; or at once when there
    /// is none, and soon when none answers.
    /// </summary>
    public async Task KeepAsync(RetainedGeneration answer, CancellationToken cancellation)
    {
        if (_disposed)
        {
            return;
        }

        _kept[answer.Id] = answer;
        answer.Request!.Course.Changed = Wake;
        MirrorLink[] answering = [.. _links.Values.Where(link => link.IsAnswering)];
        Task[] asked = [.. answering.Select(link => link.AskAsync(answer.Id))];
        Wake();
        if (asked.Length > 0 && await Task.WhenAny([.. asked, Task.Delay(s_patience, cancellation)]) is var first && !asked.Contains(first))
        {
            foreach (MirrorLink silent in answering)
            {
                silent.GiveUp(answer.Id);
            }
        }

        // Nobody else makes it any more.
        Others.Drop(answer.Id);
    }

    public void Release(RetainedGeneration answer)
    {
        if (_kept.TryRemove(KeyValuePair.Create(answer.Id, answer)))
        {
            Wake();
        }
    }

    /// <summary>The events after a number, from the coordinator that makes the answer. Throws <see cref="ApiException"/> for what that one says, <see cref="LinkClosedException"/> when it is gone.</summary>
    public IAsyncEnumerable<NumberedEvent> ReadAsync(MirroredAnswer answer, long after, CancellationToken cancellation) =>
        answer.LostAt is null ? AnswerRelay.ReadAsync(_peers, answer, after, cancellation) : throw new LinkClosedException($"coordinator {answer.Holder} is silent");

    /// <summary>Has an answer that another coordinator makes ended and forgotten, here and there.</summary>
    public async Task CancelAsync(MirroredAnswer answer, CancellationToken cancellation)
    {
        byte[] cancel = Wire.Encode(new MirrorProtocol.CancelAnswer(answer.Request.Id, answer.Request.Key));
        Others.Drop(answer.Request.Id);
        try
        {
            await AnswerRelay.TellAsync(_peers, answer.Holder, FrameKind.CancelAnswer, cancel, cancellation);
        }
        catch (LinkClosedException)
        {
            // It is gone, and so is the answer.
        }
    }

    /// <summary>Another coordinator makes an answer: taken note of, unless it is made here by a later term; if it is made here by an earlier one, that gives way.</summary>
    public bool Receive(Link link, MirrorProtocol.KeepAnswer request)
    {
        string holder = link.Peer.Name;
        if (_kept.TryGetValue(request.Id, out RetainedGeneration? own))
        {
            if (!MirroredAnswers.Precedes(request.Term, holder, own.Request!.Term, _peers.Self))
            {
                return false;
            }

            _logger.LogInformation("answer {Id} is made by coordinator {Holder} from now on", request.Id, holder);
        }

        bool kept = Others.Keep(holder, link, request);
        if (own is not null)
        {
            _own.GiveWay(own);
        }

        return kept;
    }

    public void Took(MirroredAnswer answer) => _logger.LogWarning("coordinator {Holder} is gone; its answer {Id} goes on here", answer.Holder, answer.Request.Id);

    public void Dispose()
    {
        _disposed = true;
        foreach (MirrorLink link in _links.Values)
        {
            link.Dispose();
        }
    }

    private void Found(string peer)
    {
        if (!_disposed)
        {
            _links.GetOrAdd(peer, name => new MirrorLink(name, _peers, () => _kept.Values));
        }
    }

    private void Wake()
    {
        foreach (MirrorLink link in _links.Values)
        {
            link.Wake();
        }
    }
}
