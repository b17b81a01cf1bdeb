using System.Collections.Concurrent;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Node.Tests.Support;

/// <summary>A coordinator's end of the link to a head.</summary>
internal sealed class TestHeadLink : ILinkHandler, IDisposable
{
    private readonly Link _link;
    private readonly int _epoch;
    private readonly ConcurrentDictionary<GenerationId, Stream> _streams = new();
    private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TestHeadLink(Link link, int epoch)
    {
        _link = link;
        _epoch = epoch;
        link.Start(this);
    }

    public Task<string> Closed => _closed.Task;

    public GenerationProtocol.HeadLoad? Load { get; private set; }

    public Task<GenerationProtocol.GenerationEnded> Submit(GenerationProtocol.Submit submit, List<int> tokens, Action<int>? onToken = null)
    {
        var stream = new Stream(tokens, onToken, new TaskCompletionSource<GenerationProtocol.GenerationEnded>(TaskCreationOptions.RunContinuationsAsynchronously));
        _streams[submit.Generation] = stream;
        _link.Send(FrameKind.Submit, _epoch, 0, Wire.Encode(submit));
        return stream.Ended.Task;
    }

    public void Cancel(GenerationId generation) => _link.Send(FrameKind.Cancel, _epoch, 0, Wire.Encode(new GenerationProtocol.Cancel(TestCell.Tenant, generation)));

    public void Allow(TenantId tenant, GenerationId generation, int tokens) => _link.Send(FrameKind.Allow, _epoch, 0, Wire.Encode(new GenerationProtocol.Allow(tenant, generation, tokens)));

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        switch (kind)
        {
            case FrameKind.TokensGenerated:
                var tokens = Wire.Decode<GenerationProtocol.TokensGenerated>(payload);
                Stream stream = _streams[tokens.Generation];
                lock (stream.Tokens)
                {
                    stream.Tokens.AddRange(tokens.Tokens);
                }

                stream.OnToken?.Invoke(stream.Tokens.Count);
                link.Grant();
                break;
            case FrameKind.GenerationEnded:
                var ended = Wire.Decode<GenerationProtocol.GenerationEnded>(payload);
                _streams[ended.Generation].Ended.TrySetResult(ended);
                break;
            case FrameKind.HeadLoad:
                Load = Wire.Decode<GenerationProtocol.HeadLoad>(payload);
                break;
        }
    }

    public void OnClosed(Link link, string reason)
    {
        _closed.TrySetResult(reason);
        foreach (Stream stream in _streams.Values)
        {
            stream.Ended.TrySetException(new LinkClosedException(reason));
        }
    }

    public void Dispose() => _link.Dispose();

    private sealed record Stream(List<int> Tokens, Action<int>? OnToken, TaskCompletionSource<GenerationProtocol.GenerationEnded> Ended);
}
