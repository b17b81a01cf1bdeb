using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// Gives one answer that is made here to another coordinator, whose caller reads it there. It counts as read here, and is charged here; a thread of its own waits for the reader's credit.
/// </summary>
internal sealed class AnswerServer(TenantGenerations answers, Link self) : ILinkHandler
{
    private const int MaxReaders = 1024;
    private static int s_readers;

    private readonly CancellationTokenSource _closed = new();
    private bool _asked;

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        switch (kind)
        {
            case FrameKind.ReadAnswer when !_asked:
                _asked = true;
                var read = Wire.Decode<MirrorProtocol.ReadAnswer>(payload);
                new Thread(() => Serve(read)) { IsBackground = true, Name = "answer server" }.Start();
                break;
            case FrameKind.CancelAnswer when !_asked:
                var cancel = Wire.Decode<MirrorProtocol.CancelAnswer>(payload);
                if (answers.FindOf(cancel.Key, cancel.Id) is { } cancelled)
                {
                    answers.Remove(cancelled);
                }

                link.Send(FrameKind.AnswerOver, 0, 0, Wire.Encode(new MirrorProtocol.AnswerOver(0, "", "", "")));
                break;
            default:
                link.Close($"a {kind} frame is not expected by who makes answers");
                break;
        }
    }

    public void OnClosed(Link link, string reason) => _closed.Cancel();

    private void Serve(MirrorProtocol.ReadAnswer read)
    {
        try
        {
            ApiError? error = Interlocked.Increment(ref s_readers) > MaxReaders ? ApiError.Overloaded("too many answers are read through other coordinators; try again later") : Send(read);
            self.Send(FrameKind.AnswerOver, 0, 0, Wire.Encode(new MirrorProtocol.AnswerOver(error?.Status ?? 0, error?.Type ?? "", error?.Code ?? "", error?.Message ?? "")));
        }
        catch (Exception e) when (e is LinkClosedException or OperationCanceledException)
        {
            // The reader has gone.
        }
        finally
        {
            Interlocked.Decrement(ref s_readers);
        }
    }

    private ApiError? Send(MirrorProtocol.ReadAnswer read)
    {
        if (answers.FindOf(read.Key, read.Id) is not { } answer)
        {
            return ApiError.GenerationNotFound();
        }

        try
        {
            foreach (NumberedEvent next in answer.ReadAsync(read.After, _closed.Token).ToBlockingEnumerable(_closed.Token))
            {
                answer.Receipt?.Sending(next.TokensBefore, next.Tokens);
                self.Send(FrameKind.AnswerEvent, 0, 0, Wire.Encode(new MirrorProtocol.AnswerEvent(next.Number, next.TokensBefore, next.Tokens, next.Json)));
            }

            answer.Delivered();
            return null;
        }
        catch (ApiException e)
        {
            return e.Error;
        }
    }
}
