using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>Reads one answer from the coordinator that makes it, on a link of its own, so that a slow reader holds up no other.</summary>
internal sealed class AnswerRelay : ILinkHandler
{
    private static readonly TimeSpan s_dialDeadline = TimeSpan.FromSeconds(2);

    private readonly Channel<NumberedEvent> _events = Channel.CreateBounded<NumberedEvent>(new BoundedChannelOptions(64) { SingleReader = true, SingleWriter = true });

    /// <summary>The events after a number. Throws <see cref="ApiException"/> with the error that the answer ended with, <see cref="LinkClosedException"/> when its maker is gone.</summary>
    public static async IAsyncEnumerable<NumberedEvent> ReadAsync(CellPeers peers, MirroredAnswer answer, long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using Link link = await DialAsync(peers, answer.Holder, cancellation);
        var relay = new AnswerRelay();
        link.Start(relay);
        link.Send(FrameKind.ReadAnswer, 0, 0, Wire.Encode(new MirrorProtocol.ReadAnswer(answer.Request.Id, answer.Request.Key, after)));
        await foreach (NumberedEvent next in relay._events.Reader.ReadAllAsync(cancellation))
        {
            yield return next;
            link.Grant();
        }
    }

    /// <summary>Tells a coordinator something about an answer and waits until it has heard it.</summary>
    public static async Task TellAsync(CellPeers peers, string peer, FrameKind kind, byte[] message, CancellationToken cancellation)
    {
        using Link link = await DialAsync(peers, peer, cancellation);
        var relay = new AnswerRelay();
        link.Start(relay);
        link.Send(kind, 0, 0, message);
        await relay._events.Reader.WaitToReadAsync(cancellation);
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        switch (kind)
        {
            case FrameKind.AnswerEvent:
                var next = Wire.Decode<MirrorProtocol.AnswerEvent>(payload);
                if (!_events.Writer.TryWrite(new NumberedEvent(next.Number, next.Json, next.TokensBefore, next.Tokens)))
                {
                    link.Close("more events came than were asked for");
                }

                break;
            case FrameKind.AnswerOver:
                var over = Wire.Decode<MirrorProtocol.AnswerOver>(payload);
                _events.Writer.TryComplete(over.Status == 0 ? null : new ApiException(new ApiError(over.Status, over.Type, over.Code, over.Message)));
                break;
            default:
                link.Close($"a {kind} frame is not expected by who reads an answer");
                break;
        }
    }

    public void OnClosed(Link link, string reason) => _events.Writer.TryComplete(new LinkClosedException(reason));

    private static async Task<Link> DialAsync(CellPeers peers, string peer, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_dialDeadline);
        try
        {
            return await peers.DialAsync(peer, LinkPurpose.Answers, deadline.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new LinkClosedException($"coordinator {peer} did not answer within {s_dialDeadline.TotalSeconds:0} s");
        }
    }
}
