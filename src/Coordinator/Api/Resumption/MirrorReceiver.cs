using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>Takes what another coordinator says of the answers that it makes.</summary>
internal sealed class MirrorReceiver(GenerationMirror mirror, Link self) : ILinkHandler
{
    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        switch (kind)
        {
            case FrameKind.KeepAnswer:
                var keep = Wire.Decode<MirrorProtocol.KeepAnswer>(payload);
                if (keep.Body.Length > ApiLimits.MaxBodyBytes || keep.Term < 0 || !Guid.TryParseExact(keep.Usage, "n", out _))
                {
                    throw new InvalidDataException("an answer to keep is out of bounds");
                }

                bool kept = mirror.Receive(link, keep);
                link.Grant();
                link.Send(FrameKind.AnswerKept, 0, 0, Wire.Encode(new MirrorProtocol.AnswerKept(keep.Id, keep.Term, kept)));
                break;
            case FrameKind.AnswerProgress:
                mirror.Others.Add(link, Wire.Decode<MirrorProtocol.AnswerProgress>(payload));
                link.Grant();
                break;
            case FrameKind.AnswerReleased:
                mirror.Others.Release(link, Wire.Decode<MirrorProtocol.AnswerReleased>(payload).Id);
                break;
            default:
                link.Close($"a {kind} frame is not expected by a mirror");
                break;
        }
    }

    public void OnClosed(Link link, string reason) => mirror.Others.Lose(self);
}
